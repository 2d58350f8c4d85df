"""Send doorbells to Celery's workers, over the broker that its application names."""

from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from roadworthy._internal.extras import extra

with extra("celery", of="roadworthy.jobs.engines.celery"):
    import kombu
    from amqp import exceptions as amqp_exceptions  # type: ignore[import-untyped] # it has no types
    from kombu.exceptions import ChannelError

from roadworthy.jobs.broker.message import Doorbell

__all__ = ["RUN", "CeleryBroker"]

_kombu: Any = kombu  # Celery has few types
_amqp_exceptions: Any = amqp_exceptions

RUN: Final = "roadworthy.jobs.run"
"""The name of the Celery task that receives doorbells."""
_SECONDS: Final = 10
"""Seconds to wait for an answer of the broker."""
_TRANSIENT: Final = 1
"""The delivery mode: a doorbell need not survive the broker, because the row does."""


class CeleryBroker:
    """A connection to Celery's broker, made when needed and again after a failure."""

    def __init__(self, app: Any, prefix: str) -> None:
        self._app, self._prefix = app, prefix
        self._connection: Any = None
        self._channel: Any = None

    def ring(self, queue: str, bells: list[Doorbell]) -> int:
        """Send doorbells, and wait until the broker has confirmed all, if it can."""
        return self._anew_if_stale(lambda: self._ring(queue, bells))

    def waiting(self, queue: str) -> int:
        """Count the messages that wait for a worker."""
        return self._anew_if_stale(lambda: self._waiting(queue))

    def close(self) -> None:
        """Close the connection, and forget it even if that fails."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(Exception):  # any error of the driver: the connection is gone
                connection.close()

    def _anew_if_stale(self, call: Any) -> int:
        """Call, and call once more if the connection was lost in between."""
        had_one = self._connection is not None
        try:
            return int(call())
        except Exception:
            self.close()
            if not had_one:
                raise
        try:
            return int(call())
        except Exception:
            self.close()
            raise

    def _open_channel(self) -> Any:
        if self._channel is None:
            self._connection = self._app.connection_for_write(
                connect_timeout=_SECONDS, transport_options=_deadlines(self._app)
            )
            self._channel = self._connection.channel()
            self._confirms = _Confirms(self._channel)
        return self._channel

    def _ring(self, queue: str, bells: list[Doorbell]) -> int:
        channel = self._open_channel()
        name = self._prefix + queue
        # Declared each time: a wiped broker has no queue, and drops messages for it.
        declared = self._app.amqp.queues[name](channel)
        waiting = int(declared.queue_declare().message_count)
        producer = _kombu.Producer(channel, serializer=self._app.conf.task_serializer)
        for bell in bells:
            self._publish(producer, name, bell)
            self._confirms.expect()
        self._confirms.wait()
        return waiting + len(bells)

    def _publish(self, producer: Any, name: str, bell: Doorbell) -> None:
        arguments = (bell.queue, bell.runs_on, bell.jobs)
        message = self._app.amqp.as_task_v2(str(uuid4()), RUN, arguments, ignore_result=True)
        producer.publish(
            message.body,
            routing_key=name,
            exchange="",
            headers=message.headers,
            delivery_mode=_TRANSIENT,
            **message.properties,
        )

    def _waiting(self, queue: str) -> int:
        channel = self._open_channel()
        try:
            return int(channel.queue_declare(self._prefix + queue, passive=True).message_count)
        except (_amqp_exceptions.NotFound, ChannelError):
            # There is no such queue, and AMQP has closed the channel, too.
            self.close()
            return 0


class _Confirms:
    """Wait for the broker's confirms of many messages at once, if it sends any."""

    def __init__(self, channel: Any) -> None:
        self._connection = channel.connection
        self._last, self._open = 0, set[int]()
        self._refused = False
        self._sends_any = hasattr(channel, "confirm_select")
        if self._sends_any:
            channel.events["basic_ack"].add(self._settle)
            channel.events["basic_nack"].add(self._refuse)
            channel.confirm_select()

    def expect(self) -> None:
        """Count a message that was sent."""
        if self._sends_any:
            self._last += 1
            self._open.add(self._last)

    def wait(self) -> None:
        """Wait until all messages are confirmed.

        Raises:
            ConnectionError: The broker has refused a message.
        """
        self._refused = False
        while self._open:
            self._connection.drain_events(timeout=_SECONDS)
        if self._refused:
            raise ConnectionError("The broker has refused a doorbell.")

    def _settle(self, tag: int, multiple: bool) -> None:
        done = {one for one in self._open if one <= tag} if multiple else {tag}
        self._open -= done

    def _refuse(self, tag: int, multiple: bool) -> None:
        self._refused = True
        self._settle(tag, multiple)


def _deadlines(app: Any) -> dict[str, Any]:
    """Return the options that bound how long each driver waits."""
    url = str(app.conf.broker_write_url or app.conf.broker_url or "")
    if url.startswith("redis"):
        return {"socket_timeout": _SECONDS, "socket_connect_timeout": _SECONDS}
    return {"read_timeout": _SECONDS, "write_timeout": _SECONDS, "confirm_publish": False}
