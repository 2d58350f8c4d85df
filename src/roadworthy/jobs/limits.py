"""`Limit`: how many jobs with one key run at a time, or begin in a period."""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

__all__ = ["MAX_LIMIT_KEY", "Limit"]

MAX_LIMIT_KEY: Final = 200
"""The most characters of a key; longer keys are stored as their hash."""
_MAX_RATE: Final = 10_000
_MAX_PER: Final = timedelta(days=1)
_NOT_PLAIN: Final = str.maketrans({"%": "%25", ":": "%3A"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Limit how many jobs run at a time, or begin in a period, over all workers.

        @task(limit=Limit(concurrency=1, key=lambda account_id: account_id))
        async def sync(account_id: str) -> None: ...

        @task(limit=Limit(rate=10, per=timedelta(seconds=1)))
        async def ask_partner(order_id: str) -> None: ...

    Args:
        concurrency: How many jobs with the same key run at a time.
        rate: How many jobs with the same key begin within `per`; further attempts count, too.
        per: The period of `rate`, wherever it begins.
        key: A function of those arguments of the task that it names, called when a job is
            enqueued. Jobs with equal keys share the limit; None is no limit. Without a `key`,
            all jobs of the task share the limit.
        name: Tasks whose limits have the same name share the limit: an account at a service,
            for example.

    Raises:
        ValueError: An argument is out of its range; the text names it.
    """

    concurrency: int | None = None
    rate: int | None = None
    per: timedelta = timedelta(minutes=1)
    key: Callable[..., object] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if self.concurrency is None and self.rate is None:
            raise ValueError("Limit(concurrency=1), Limit(rate=10, per=timedelta(minutes=1)).")
        _check_number("concurrency", self.concurrency, most=1_000_000)
        _check_number("rate", self.rate, most=_MAX_RATE)
        if not _is_period(self.per):
            raise ValueError("per is a time of a day at most: per=timedelta(minutes=1).")
        if self.key is not None and not callable(self.key):
            raise ValueError("key is a function of the task's arguments: key=lambda user_id: ...")
        if inspect.iscoroutinefunction(self.key):
            raise TypeError("key is asked while a job is enqueued, and cannot wait: write a def.")
        if self.name is not None and not 0 < len(self.name) <= MAX_LIMIT_KEY:
            raise ValueError(f"name has 1 to {MAX_LIMIT_KEY} characters.")

    def unknown_of(self, parameters: Collection[str]) -> list[str]:
        """Return the parameters of `key` that a task has no argument for."""
        return [] if self.key is None else [n for n in _named(self.key) if n not in parameters]

    def key_of(self, task: str, arguments: Mapping[str, Any]) -> str | None:
        """Return the key that a job with these arguments counts under, or None."""
        found: object = ""
        if self.key is not None:
            found = self.key(**_given(self.key, arguments))
        return None if found is None else _stored(self.name or task, _text(task, found))


def _text(task: str, key: object) -> str:
    """Return a key as text: the same for equal keys, in every process."""
    waits = inspect.isawaitable(key)
    if waits:
        getattr(key, "close", lambda: None)()  # nobody will await it
    if waits or (type(key).__str__ is object.__str__ and type(key).__repr__ is object.__repr__):
        raise TypeError(
            f"{task}: the key of its limit is a {type(key).__name__}, which has no text of its "
            "own. Return a str, an int, a UUID, or a tuple of them."
        )
    return str(key)


def _is_period(value: object) -> bool:
    return isinstance(value, timedelta) and timedelta(0) < value <= _MAX_PER


def _check_number(name: str, value: object, *, most: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{name} is {value!r}, and has to be from 1 to {most}: {name}=1.")


def _given(key: Callable[..., object], arguments: Mapping[str, Any]) -> dict[str, Any]:
    if _takes_all(key):
        return dict(arguments)
    return {name: arguments[name] for name in _named(key) if name in arguments}


def _takes_all(key: Callable[..., object]) -> bool:
    kinds = {parameter.kind for parameter in inspect.signature(key).parameters.values()}
    return inspect.Parameter.VAR_KEYWORD in kinds


def _named(key: Callable[..., object]) -> list[str]:
    several = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(key).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind not in several]


def _stored(name: str, key: str) -> str:
    plain = f"{name.translate(_NOT_PLAIN)}:{key}"
    if len(plain) <= MAX_LIMIT_KEY and plain.isprintable():
        return plain
    digest = sha256(plain.encode(errors="surrogatepass")).hexdigest()
    return f"{digest}:{sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}"
