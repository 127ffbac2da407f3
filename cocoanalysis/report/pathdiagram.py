"""Path diagrams drawn from a parameter table: latent variables round, observed ones square.

A measurement model is drawn with its factors on the left and their indicators on the right; a model
with regressions in layers from cause-side to effect-side, its indicators counted but not drawn.
Numbers are standardised estimates. An arrow is an association that the model assumes to point that
way; the data cannot show that it does.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cocoanalysis.errors import ModelError
from cocoanalysis.report.given import tidied
from cocoanalysis.report.labels import figure_text, item_label, label
from cocoanalysis.report.tables import written

INK, FAINT = "#222222", "#999999"


class Edge(NamedTuple):
    """One arrow: from, to, and its standardised size."""

    source: str
    target: str
    size: float


def draw(ax: Axes, result: Any) -> str:
    """Draw the fitted model into the Axes; of several groups and levels the first, which the returned words name."""
    table = tidied(result, "coco.cfa or coco.sem", "lhs", "op", "rhs", "std_all", standardized=True)
    words = []
    for part in ("group", "level"):
        told, table = first_of(table, part)
        words += [told] if told else []
    indicators = edges(table, "=~")
    regressions = [edge._replace(source=edge.target, target=edge.source) for edge in edges(table, "~")]
    if not indicators and not regressions:
        raise ModelError(
            "The model has neither factors nor regressions; there is nothing to draw.", code="NothingToDraw"
        )
    ax.set_axis_off()
    covariances = [edge for edge in edges(table, "~~") if edge.source != edge.target]
    if regressions:
        _structural(ax, result, indicators, regressions, covariances)
    else:
        _measurement(ax, result, indicators, covariances)
    return ", ".join(words)


def first_of(table: pd.DataFrame, part: str) -> tuple[str, pd.DataFrame]:
    """The rows of the first group (or level) only, and its name where there are several."""
    known = [name for name in table[part].dropna().unique() if str(name)] if part in table else []
    if len(known) < 2:
        return "", table
    return f"{part} {known[0]}", table[table[part] == known[0]]


def edges(table: pd.DataFrame, operator: str) -> list[Edge]:
    """All parameters with that operator."""
    rows = table[table["op"] == operator]
    return [Edge(str(lhs), str(rhs), float(size)) for lhs, rhs, size in zip(rows["lhs"], rows["rhs"], rows["std_all"])]


def layers(regressions: Iterable[Edge]) -> dict[str, int]:
    """Each variable's place from left to right: one more than the last variable that points at it.

    A loop in the model (a non-recursive one) ends the counting after as many rounds as there are variables.
    """
    arrows = list(regressions)
    depth = {name: 0 for edge in arrows for name in (edge.source, edge.target)}
    for _ in depth:
        for edge in arrows:
            depth[edge.target] = min(max(depth[edge.target], depth[edge.source] + 1), len(depth))
    return depth


def _measurement(ax: Axes, result: Any, indicators: list[Edge], covariances: list[Edge]) -> None:
    factors = list(dict.fromkeys(edge.source for edge in indicators))
    items = list(dict.fromkeys(edge.target for edge in indicators if edge.target not in factors))
    _stretch(ax, max(3.5, 0.3 * len(items) + 1))
    height = {item: -float(i) for i, item in enumerate(items)}
    for name in reversed(factors):  # a second-order factor stands at the middle of its factors
        below = [height[edge.target] for edge in indicators if edge.source == name and edge.target in height]
        height[name] = sum(below) / len(below)
    higher = {edge.source for edge in indicators if edge.target in factors}
    across = {**dict.fromkeys(items, 10.0), **{name: 1.5 if name in higher else 5.0 for name in factors}}
    for edge in indicators:
        start, end = (across[edge.source], height[edge.source]), (across[edge.target], height[edge.target])
        _arrow(ax, start, end, edge.size, place=0.62)
    _bows(ax, [e for e in covariances if e.source in factors and e.target in factors], across, height, left=True)
    for name in factors:
        _node(ax, across[name], height[name], label(result, name), round_=True)
    for item in items:
        words = textwrap.shorten(item_label(result, item), 62, placeholder=" …")
        _node(ax, 10.0, height[item], words, round_=False, side="left")
    ax.set_xlim(-0.5 if higher else 2.5, 17)
    ax.set_ylim(-len(items) + 0.2, 0.8)


def _structural(
    ax: Axes, result: Any, indicators: list[Edge], regressions: list[Edge], covariances: list[Edge]
) -> None:
    depth = layers(regressions)
    counts = {name: sum(edge.source == name for edge in indicators) for name in depth}
    columns = {d: [name for name in depth if depth[name] == d] for d in sorted(set(depth.values()))}
    tallest = max(len(names) for names in columns.values())
    across, height = {}, {}
    for place, names in enumerate(columns.values()):
        for i, name in enumerate(names):
            across[name], height[name] = 5.5 * place, -(i + 0.5) * tallest / len(names)
    _stretch(ax, max(3.5, 0.75 * tallest + 1))
    for edge in regressions:
        _arrow(ax, (across[edge.source], height[edge.source]), (across[edge.target], height[edge.target]), edge.size)
    _bows(ax, [e for e in covariances if e.source in depth and e.target in depth], across, height, left=True)
    for name in depth:
        words = label(result, name) + (f"\n({counts[name]} items)" if counts[name] else "")
        _node(ax, across[name], height[name], words, round_=bool(counts[name]))
    ax.set_xlim(-2.5, 5.5 * (len(columns) - 1) + 2.5)
    ax.set_ylim(-tallest - 0.2, 0.2)


def _stretch(ax: Axes, inches: float) -> None:
    """Give a figure that holds nothing else the height its rows need."""
    if isinstance(ax.figure, Figure) and len(ax.figure.axes) == 1:
        ax.figure.set_figheight(inches)


def _node(ax: Axes, x: float, y: float, text: str, *, round_: bool, side: str = "center") -> None:
    style = "round,pad=0.5,rounding_size=0.9" if round_ else "square,pad=0.25"
    box = {"boxstyle": style, "facecolor": "#EAF2F8" if round_ else "white", "edgecolor": INK, "linewidth": 0.8}
    shown = "\n".join(figure_text(line, 26 if side == "center" else 80) for line in text.split("\n"))
    ax.text(x, y, shown, ha=side, va="center", fontsize=8, bbox=box, zorder=3)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], size: float, place: float = 0.55) -> None:
    """An arrow with its number; a negative one is dashed, so that a grey print shows it too."""
    dash = "--" if size < 0 else "-"
    props = {
        "arrowstyle": "-|>",
        "color": INK,
        "linewidth": 0.6 + 1.6 * min(abs(size), 1),
        "linestyle": dash,
        "shrinkA": 18,
        "shrinkB": 6,
    }
    ax.annotate("", end, start, arrowprops=props, zorder=1)
    x, y = (a + place * (b - a) for a, b in zip(start, end))
    ax.text(
        x,
        y,
        written(size, "bounded"),
        fontsize=7.5,
        ha="center",
        va="center",
        zorder=2,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
    )


def _bows(ax: Axes, pairs: list[Edge], across: dict[str, float], height: dict[str, float], *, left: bool) -> None:
    """Covariances as bows; with more than six of them without numbers, which would lie on each other."""
    for edge in pairs:
        start, end = (across[edge.source], height[edge.source]), (across[edge.target], height[edge.target])
        bend = 0.45 if (start[1] > end[1]) == left else -0.45
        props = {
            "arrowstyle": "<|-|>",
            "color": FAINT,
            "linewidth": 0.7,
            "connectionstyle": f"arc3,rad={bend}",
            "shrinkA": 14,
            "shrinkB": 14,
        }
        ax.annotate("", end, start, arrowprops=props, zorder=0)
        if len(pairs) <= 6:
            x = (start[0] + end[0]) / 2 - 0.22 * abs(start[1] - end[1]) * (1 if left else -1)
            ax.text(
                max(x, 0.3),
                (start[1] + end[1]) / 2,
                written(edge.size, "bounded"),
                fontsize=7.5,
                ha="center",
                va="center",
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            )
