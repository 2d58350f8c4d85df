"""Draw counts of problems over time: one bar a quarter of an hour, or more where that is long."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

from roadworthy.console.charts import Bar, bars
from roadworthy.problem_log import Count

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


def window_of(word: str) -> tuple[str, timedelta]:
    """Return a window by its word; a day for any other word."""
    return (word, WINDOWS[word]) if word in WINDOWS else ("24h", WINDOWS["24h"])


def draw(
    counts: Iterable[Count], since: timedelta, *, title: str, kind_of: Callable[[Count], str]
) -> Markup:
    """Return the chart of counts; `kind_of` names the class that a count is drawn in."""
    size = _QUARTER
    while since.total_seconds() / size > _MOST_BARS:
        size *= 2
    end = int(datetime.now(UTC).timestamp()) // size + 1
    begin = end - max(1, round(since.total_seconds() / size)) - 1
    sums: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for count in counts:
        sums[int(count.begins_at.timestamp()) // size][kind_of(count)] += count.problems
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
