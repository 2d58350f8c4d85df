"""How pages write times, lengths and numbers: the filters of the templates."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from markupsafe import Markup

__all__ = ["FILTERS", "ago", "at_most", "length", "number", "size"]

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SOON: Final = 1.0
_NEVER: Final = Markup("\N{EN DASH}")
_TIME: Final = Markup('<time datetime="{}" title="{}">{}</time>')
UNKNOWN: Final = "\N{EN DASH}"
"""What stands where there is no value."""


def length(of: timedelta | float | None) -> str:
    """Return a length of time in its largest unit: `4 min`, `3 d`, `210 ms`; a dash for None."""
    if of is None:
        return UNKNOWN
    seconds = of.total_seconds() if isinstance(of, timedelta) else float(of)
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}" if size == 1 else f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1000:.0f} ms"


def ago(moment: datetime | None) -> Markup:
    """Return a `<time>` that reads as how long ago it is, or how soon; exact on hover."""
    if moment is None:
        return _NEVER
    at = moment.astimezone(UTC)
    seconds = (datetime.now(UTC) - at).total_seconds()
    if abs(seconds) < _SOON:
        words = "now"
    else:
        words = f"{length(seconds)} ago" if seconds > 0 else f"in {length(-seconds)}"
    exact = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return _TIME.format(at.isoformat(timespec="milliseconds"), exact, words)


def number(value: int | None, most: int | None = None) -> str:
    """Return a number with its thousands apart; `10,000+` where it was counted up to `most`."""
    if value is None:
        return UNKNOWN
    return f"{value:,}+" if most is not None and value >= most else f"{value:,}"


def at_most(text: object, characters: int = 80) -> str:
    """Return a text on one line, cut where it is longer."""
    line = " ".join(str(text).split())
    return line if len(line) <= characters else f"{line[: characters - 1]}…"


def size(of: int | None) -> str:
    """Return a number of bytes in its largest unit: `1.4 MiB`, `512 B`; a dash for None."""
    if of is None:
        return UNKNOWN
    value, units = float(of), iter(_SIZES)
    unit = next(units)
    while value >= _STEP and unit != _SIZES[-1]:
        value, unit = value / _STEP, next(units)
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


_STEP: Final = 1024
_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB")

FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "ago": ago,
    "at_most": at_most,
    "length": length,
    "number": number,
    "size": size,
}
"""By the name that templates use."""
