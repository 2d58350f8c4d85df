"""What a fault is, and what it may hurt."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from faults.site import Site
from faults.stacks import Stack
from support.clock import FalseClock
from support.objects import ObjectServer
from support.postgres import PrivatePostgres
from support.private_brokers import PrivateBroker
from support.proxy import Proxy

__all__ = ["Fault", "Scene"]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A site under load, and all that may fail around it."""

    folder: Path
    stack: Stack
    site: Site
    engine: sa.Engine
    """A way to the database that no fault is on."""
    _postgres: PrivatePostgres | None = None
    _standby: PrivatePostgres | None = None
    _network: Proxy | None = None
    _broker: PrivateBroker | None = None
    _objects: ObjectServer | None = None
    _way_to_objects: Proxy | None = None
    _clock: FalseClock | None = None

    @property
    def postgres(self) -> PrivatePostgres:
        assert self._postgres is not None
        return self._postgres

    @property
    def standby(self) -> PrivatePostgres:
        """What follows the other one, and has each commit before that is acknowledged."""
        assert self._standby is not None
        return self._standby

    @property
    def network(self) -> Proxy:
        """What all connections to the database go through."""
        assert self._network is not None
        return self._network

    @property
    def broker(self) -> PrivateBroker:
        assert self._broker is not None
        return self._broker

    @property
    def objects(self) -> ObjectServer:
        assert self._objects is not None
        return self._objects

    @property
    def way_to_objects(self) -> Proxy:
        assert self._way_to_objects is not None
        return self._way_to_objects

    @property
    def clock(self) -> FalseClock:
        """The clock of the first server and the first worker; on SQLite, of all of them."""
        assert self._clock is not None
        return self._clock


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that happens to a site, and on which stacks it can."""

    name: str
    text: str
    """As the table has it."""
    happen: Callable[[Scene], None]
    on: tuple[str, ...]
    """The names of stacks."""
    usually_on: tuple[str, ...] = ()
    """Those that it is tested on without `--all-faults`."""
    hurts_database: bool = False
    """Then a commit may have happened although the client was told of an error."""
    needs: frozenset[str] = frozenset()
    """What makes its scene another than usual: `objects`, `clock`, `disk`, `two versions`,
    `failover`, `psycopg`."""
    large_files: bool = False
    unnoticed: bool = False
    """Whether no client may see an error of it."""
