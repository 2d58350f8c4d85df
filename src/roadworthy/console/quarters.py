"""Draw counts of problems over time: one bar for a quarter of an hour, or for several."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

from roadworthy.console.charts import Bar, bars

__all__ = ["WINDOWS", "draw", "window_of"]

WINDOWS: Final = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
"""How far back a page looks, by the word of its filter."""
_QUARTER: Final = 900
_TICKS: Final = 6
_MOST_BARS: Final = 100
_SERVER_ERRORS: Final = 5


def window_of(word: str) -> tuple[str, timedelta]:
    """Return a window by its word; a day for any other word."""
    return (word, WINDOWS[word]) if word in WINDOWS else ("24h", WINDOWS["24h"])


def draw(counts: Iterable[tuple[datetime, int, int]], since: timedelta, *, title: str) -> Markup:
    """Return the chart of what `problem_log.by_quarter` counted."""
    size = _QUARTER
    while since.total_seconds() / size > _MOST_BARS:
        size *= 2
    end = int(datetime.now(UTC).timestamp()) // size + 1
    begin = end - max(1, round(since.total_seconds() / size)) - 1
    sums: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for begins_at, status_class, number in counts:
        kind = "bad" if status_class == _SERVER_ERRORS else "warn"
        sums[int(begins_at.timestamp()) // size][kind] += number
    data = [_bar(number * size, sums.get(number, {})) for number in range(begin, end)]
    return bars(data, title=title, ticks=_ticks(begin, end, size))


def _bar(seconds: int, parts: dict[str, int]) -> Bar:
    at = datetime.fromtimestamp(seconds, UTC)
    return Bar(f"{at:%Y-%m-%d %H:%M} UTC: {sum(parts.values()):,}", tuple(sorted(parts.items())))


def _ticks(begin: int, end: int, size: int) -> list[tuple[int, str]]:
    step = max(1, (end - begin) // _TICKS)
    is_long = (end - begin) * size > 2 * 86400
    form = "%b %d" if is_long else "%H:%M"
    return [
        (place, f"{datetime.fromtimestamp((begin + place) * size, UTC):{form}}")
        for place in range(0, end - begin - step // 2, step)  # the last one would be cut
    ]
