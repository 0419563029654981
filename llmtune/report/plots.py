"""Plots as inline SVG: they follow the page's colors, light or dark, print sharp, and need no library in the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from markupsafe import Markup

WIDTH, HEIGHT = 460, 300
RIGHT, TOP, BOTTOM = 12, 12, 44
NAME, DIGIT = 30, 7.3  # left of the data: room for the axis' name, and for each character of its numbers


class PagePlot(NamedTuple):
    """A drawing with what stands around it.

    Args:
        heading: above it.
        caption: below it.
        drawing: SVG.
        lines: names of its lines, where it has several.
    """

    heading: str
    caption: str
    drawing: Markup
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Series:
    """One line or cloud of points.

    Args:
        name: in the legend.
        xs: of its points.
        ys: likewise; a band has none.
        shape: line, points, both, or a band between the ends of the bars.
        bars: the low and high end of an upright bar at each point.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    shape: str = "line"
    bars: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Axes:
    """What stands around the data.

    Args:
        title: what a screen reader says.
        x_name: of the horizontal axis.
        y_name: of the vertical axis.
        x_range: its ends; None for the data's.
        y_range: likewise.
    """

    title: str
    x_name: str
    y_name: str
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between the ends.

    >>> ticks(0, 1), ticks(3, 310)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [100.0, 200.0, 300.0])
    """
    steps = (factor * 10.0**power for power in range(-12, 300) for factor in (1, 2, 5))
    step = next(step for step in steps if (high - low) / step < most)
    # 1 / 0.2 is a little less than 5 in binary.
    places = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [round(place * step, 12) for place in places]


def line_plot(
    axes: Axes, series: Sequence[Series], *, diagonal: bool = False, marked: tuple[float, float] | None = None
) -> str:
    """An SVG of lines or points.

    Args:
        axes: around them.
        series: at most four are told apart by color and dashes.
        diagonal: a thin line from corner to corner.
        marked: a point to stand out, which a script may move.
    """
    x_low, x_high = axes.x_range or _ends([x for line in series for x in line.xs])
    y_low, y_high = axes.y_range or _ends([y for line in series for y in (*line.ys, *sum(line.bars, ()))])
    left = round(NAME + DIGIT * max(len(f"{tick:g}") for tick in ticks(y_low, y_high)))

    def x_at(x: float) -> float:
        return left + (x - x_low) / (x_high - x_low) * (WIDTH - left - RIGHT)

    def y_at(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    drawn = []
    for tick in ticks(y_low, y_high):
        drawn.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y_at(tick):.1f}" y2="{y_at(tick):.1f}"/>')
        drawn.append(f'<text x="{left - 6}" y="{y_at(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in ticks(x_low, x_high):
        drawn.append(f'<line class="grid" y1="{TOP}" y2="{floor}" x1="{x_at(tick):.1f}" x2="{x_at(tick):.1f}"/>')
        drawn.append(f'<text x="{x_at(tick):.1f}" y="{floor + 17}" text-anchor="middle">{tick:g}</text>')
    middle = (TOP + floor) / 2
    drawn.append(
        f'<text x="{(left + right) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(axes.x_name)}</text>'
    )
    drawn.append(
        f'<text transform="translate(13 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(axes.y_name)}</text>'
    )
    if diagonal:
        low, high = max(x_low, y_low), min(x_high, y_high)
        drawn.append(
            f'<line class="diagonal" x1="{x_at(low):.1f}" y1="{y_at(low):.1f}" '
            f'x2="{x_at(high):.1f}" y2="{y_at(high):.1f}"/>'
        )
    for place, line in enumerate(series):
        dots = [(x_at(x), y_at(y)) for x, y in zip(line.xs, line.ys, strict=line.shape != "band")]
        if line.shape in ("line", "both"):
            drawn.append(f'<polyline class="s{place}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in dots)}"/>')
        if line.shape == "band":
            ends = [(x_at(x), y_at(low), y_at(high)) for x, (low, high) in zip(line.xs, line.bars, strict=True)]
            around = [(x, high) for x, _, high in ends] + [(x, low) for x, low, _ in reversed(ends)]
            drawn.append(f'<polygon class="band" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in around)}"/>')
        if line.shape in ("points", "both"):
            ends = [(x_at(x), y_at(low), y_at(high)) for x, (low, high) in zip(line.xs, line.bars, strict=False)]
            drawn += [f'<line class="bar" x1="{x:.1f}" x2="{x:.1f}" y1="{a:.1f}" y2="{b:.1f}"/>' for x, a, b in ends]
            drawn += [f'<circle class="s{place}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in dots]
    if marked is not None:
        drawn.append(f'<circle class="chosen" cx="{x_at(marked[0]):.1f}" cy="{y_at(marked[1]):.1f}" r="6"/>')
    scale = f"{left},{right - left},{floor},{floor - TOP}"
    return (
        f'<svg role="img" aria-label="{escape(axes.title)}" viewBox="0 0 {WIDTH} {HEIGHT}" data-scale="{scale}">'
        f"{''.join(drawn)}</svg>"
    )


def interval_plot(title: str, rows: Sequence[tuple[str, float, float, float]], ends: tuple[float, float]) -> str:
    """An SVG of one value a row, each a dot in the bar of its interval; the first row stands out.

    Args:
        title: what a screen reader says; the values stand in the drawing as text too.
        rows: name, value, low and high end.
        ends: of the axis.
    """
    low, high = ends
    drawn, line = [], 38

    margin = 18  # half of the number below an end of the axis

    def x_at(x: float) -> float:
        return margin + (min(max(x, low), high) - low) / (high - low) * (WIDTH - 2 * margin)

    floor = TOP + line * len(rows)
    for tick in ticks(low, high):
        drawn.append(f'<line class="grid" x1="{x_at(tick):.1f}" x2="{x_at(tick):.1f}" y1="{TOP}" y2="{floor}"/>')
        drawn.append(f'<text x="{x_at(tick):.1f}" y="{floor + 16}" text-anchor="middle">{tick:g}</text>')
    for place, (name, value, least, most) in enumerate(rows):
        y, kind = TOP + line * place + 26, "first" if place == 0 else "other"
        drawn.append(f'<text class="{kind}" x="8" y="{y - 10}">{escape(name)} {value:.3f}</text>')
        drawn.append(f'<line class="interval {kind}" x1="{x_at(least):.1f}" x2="{x_at(most):.1f}" y1="{y}" y2="{y}"/>')
        drawn.append(f'<circle class="{kind}" cx="{x_at(value):.1f}" cy="{y}" r="5"/>')
    return (
        f'<svg role="img" class="intervals" aria-label="{escape(title)}" viewBox="0 0 {WIDTH} {floor + 24}">'
        f"{''.join(drawn)}</svg>"
    )


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """A little more than the data, and never nothing."""
    low, high = min(values), max(values)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    # Losses, counts and steps begin at 0, and an axis that begins elsewhere exaggerates.
    return (0.0 if 0 <= low < (high - low) * 2 else low - room), high + room
