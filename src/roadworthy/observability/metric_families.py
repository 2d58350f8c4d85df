"""Families of metrics as plain values, which go to other processes and add up.

A counter or a histogram of several processes is the sum of theirs. A gauge is the sum
where its meter is one that goes up and down by itself (connections in use), else the
worst of them: the largest, but of the status of a check the smallest.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

__all__ = ["Buckets", "Family", "Kind", "Labels", "Snapshot", "Value", "merge"]

Kind: TypeAlias = Literal["counter", "up_down", "gauge", "histogram"]
"""What a family of metrics counts."""
Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""

SERIES: Final = 2000
"""No family gets larger; OpenTelemetry sees to that in each process."""
_OVERFLOW: Final[Labels] = (("otel_metric_overflow", "true"),)
_SMALLEST: Final = {"roadworthy_health_check_status"}
"""Gauges that get worse as they get smaller."""


class Buckets(NamedTuple):
    """A point of a histogram; `counts` has one more than `bounds`."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


Value: TypeAlias = float | Buckets
"""What a point holds."""


@dataclass(slots=True)
class Family:
    """A family of metrics: one name and its points."""

    name: str
    kind: Kind
    unit: str = ""
    help: str = ""
    points: dict[Labels, Value] = field(default_factory=dict[Labels, Value])

    def add(self, labels: Labels, value: Value) -> None:
        """Add a point to the one with the same labels."""
        if labels not in self.points and len(self.points) >= SERIES:
            labels = _OVERFLOW
        there = self.points.get(labels)
        self.points[labels] = value if there is None else self._together(there, value)

    def _together(self, one: Value, other: Value) -> Value:
        if isinstance(one, Buckets) and isinstance(other, Buckets):
            return _add_buckets(one, other)
        if isinstance(one, Buckets) or isinstance(other, Buckets):
            return one
        if self.kind != "gauge":
            return one + other
        return min(one, other) if self.name in _SMALLEST else max(one, other)


@dataclass(slots=True)
class Snapshot:
    """All families of one process, or of several."""

    families: dict[str, Family] = field(default_factory=dict[str, Family])
    target: dict[str, str] = field(default_factory=dict[str, str])
    """Who is measured."""

    def family(self, like: Family) -> Family | None:
        """Return the family of that name; None where one of another kind has it."""
        found = self.families.setdefault(
            like.name, Family(like.name, like.kind, like.unit, like.help)
        )
        return found if found.kind == like.kind else None

    def dump(self) -> Any:
        """Return the snapshot as values for JSON."""
        families = [
            [f.name, f.kind, f.unit, f.help, list(f.points.items())] for f in self.families.values()
        ]
        return {"target": self.target, "families": families}

    @classmethod
    def load(cls, dumped: Any) -> "Snapshot":
        """Return the snapshot of dumped values."""
        families = (_family(row) for row in dumped["families"])
        return cls({family.name: family for family in families}, dumped["target"])


def merge(living: Iterable[Snapshot], gone: Iterable[Snapshot] = ()) -> Snapshot:
    """Merge the metrics of processes; of those that have ended, only what adds up."""
    made = Snapshot()
    for number, snapshot in enumerate(living):
        _add(made, snapshot.families.values())
        made.target = snapshot.target if number == 0 else _common(made.target, snapshot.target)
    for snapshot in gone:
        adding = (f for f in snapshot.families.values() if f.kind in {"counter", "histogram"})
        _add(made, adding)
    return made


def _add(made: Snapshot, families: Iterable[Family]) -> None:
    for family in families:
        into = made.family(family)
        if into is not None:
            for labels, value in family.points.items():
                into.add(labels, value)


def _common(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that both have: each process has an id of its own."""
    return {name: value for name, value in one.items() if other.get(name) == value}


def _add_buckets(one: Buckets, other: Buckets) -> Buckets:
    if one.bounds != other.bounds:  # of another version: there is no common count
        return one
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    return Buckets(one.bounds, counts, one.sum + other.sum)


def _family(row: Any) -> Family:
    name, kind, unit, help_, points = row
    return Family(name, kind, unit, help_, dict(_points(points)))


def _points(points: Any) -> Iterator[tuple[Labels, Value]]:
    for labels, value in points:
        names = cast("Labels", tuple((name, text) for name, text in labels))
        yield names, _buckets(value) if isinstance(value, list) else value


def _buckets(value: Any) -> Buckets:
    bounds, counts, total = value
    return Buckets(tuple(bounds), tuple(counts), total)
