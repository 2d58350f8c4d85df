"""What `events` refuses."""

from roadworthy.problems import Problem

__all__ = ["EventTooLarge", "PlaceMalformed", "TopicUnknown"]


class PlaceMalformed(Problem):
    """The client names a place that no stream of this service has given it."""

    status = 400
    title = "Malformed event id"
    detail = (
        "Last-Event-ID, or the query parameter of that name, is the id of an event of this stream. "
        "Leave it out to begin with what happens from now on."
    )


class TopicUnknown(Problem):
    """Nothing can be published under this topic: it is too long, or has such characters."""

    status = 404
    title = "Topic unknown"
    detail = "There are no events of this kind."


class EventTooLarge(ValueError):
    """The data of an event has more bytes than a stream may carry."""
