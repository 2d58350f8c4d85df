"""Charts as SVG, drawn by the server: in classes of the style sheet, as the policy wants it.

Each has a title for screen readers; the numbers stand in a table or a sentence beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

__all__ = ["Bar", "bars", "sparkline"]

_WIDTH: Final = 960.0
_HEIGHT: Final = 120.0
_BOTTOM: Final = 16.0
_GAP: Final = 1.0
_SPARK: Final = (240.0, 32.0)
_WORD: Final = 30.0
"""The width that a word on the axis may have."""
_LEAST: Final = 2.0
"""The height of a bar that is not nothing."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: parts that stand on each other, each with the class it is drawn in."""

    label: str
    """What is said on hover, such as `14:15: 3 errors`."""
    parts: tuple[tuple[str, int], ...]
    """The class and the number of each part, from below."""

    @property
    def total(self) -> int:
        """The sum of its parts."""
        return sum(number for _, number in self.parts)


def bars(data: Sequence[Bar], *, title: str, ticks: Sequence[tuple[int, str]] = ()) -> Markup:
    """Return a chart of bars; `ticks` are places on the axis, by index, with their words."""
    if not data:
        return Markup()
    most = max(1, *(bar.total for bar in data))
    width = _WIDTH / len(data)
    drawn = "".join(_bar(bar, index * width, width, most) for index, bar in enumerate(data))
    words = "".join(_tick(index * width, word) for index, word in ticks)
    axis = _HEIGHT - _BOTTOM
    line = f'<line class="axis" x1="0" y1="{axis}" x2="{_WIDTH:.0f}" y2="{axis}"/>'
    top = f'<text x="0" y="9">{most:,}</text>'
    return _svg(title, (_WIDTH, _HEIGHT), drawn + line + top + words)


def sparkline(values: Sequence[float], *, title: str, bad: Sequence[bool] = ()) -> Markup:
    """Return a line of values, the oldest first; those that are `bad` have a mark."""
    if not values:
        return Markup()
    width, height = _SPARK
    most = max(*values, 1e-9) if len(values) > 1 else max(values[0], 1e-9)
    step = width / max(1, len(values) - 1)
    points = [
        (n * step, height - 3 - (height - 6) * value / most) for n, value in enumerate(values)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    marks = "".join(
        f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
        for (x, y), is_bad in zip(points, bad, strict=False)
        if is_bad
    )
    return _svg(title, _SPARK, f'<polyline class="line" points="{path}"/>{marks}', kind="spark")


def _bar(bar: Bar, x: float, width: float, most: int) -> str:
    full, y, drawn = _HEIGHT - _BOTTOM - 12, _HEIGHT - _BOTTOM, ""
    for kind, number in bar.parts:
        if number:
            height = max(_LEAST, full * number / most)
            y -= height
            place = f'x="{x + _GAP / 2:.1f}" y="{y:.1f}"'
            size = f'width="{max(0.5, width - _GAP):.1f}" height="{height:.1f}"'
            drawn += f'<rect class="bar {escape(kind)}" {place} {size}/>'
    return f"<g><title>{escape(bar.label)}</title>{drawn}</g>" if drawn else ""


def _tick(x: float, word: str) -> str:
    # A word that begins near the right edge would be cut: it ends there.
    place = f'x="{x:.1f}"' if x < _WIDTH - _WORD else f'x="{_WIDTH:.0f}" text-anchor="end"'
    return f'<text {place} y="{_HEIGHT - 3:.0f}">{escape(word)}</text>'


def _svg(title: str, size: tuple[float, float], inner: str, *, kind: str = "chart") -> Markup:
    # Everything in it is a number of ours or has been escaped above.
    return Markup(  # noqa: S704
        f'<svg class="{kind}" viewBox="0 0 {size[0]:.0f} {size[1]:.0f}" role="img" '
        f'aria-label="{escape(title)}">{inner}</svg>'
    )
