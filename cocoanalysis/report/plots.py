"""Every figure of the report: one function a kind of result, result in, matplotlib Axes out.

Figures show, they never compute beyond counting. Colours are safe for colour-blind readers, and
shape, hatch or a written number says the same again, so that a grey print loses nothing. Labels are
the survey's, every figure made of synthetic answers says so, and no figure shows single respondents.
To add a figure, write a function from a result and an optional Axes to the Axes, and end in `_signed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cocoanalysis.errors import ModelError, ResponseError, listed
from cocoanalysis.report.given import having, ledger_of, other, tidied
from cocoanalysis.report.labels import figure_text, item_label, label, phrase, plain
from cocoanalysis.report.origin import Origin, origin_of, remember
from cocoanalysis.report.tables import labelled, missing_by_reason, sorted_loadings, written
from cocoanalysis.responses.disclosure import (
    WITHHELD,
    Counted,
    current,
    free,
    joined_steps,
    mark_of,
    people,
    sample_of,
    withheld_whole,
)

# Okabe and Ito (2008): told apart by readers with any common colour blindness.
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE, GREY = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#777777",
)
SERIES = ((BLUE, "o", "-"), (RED, "s", "--"), (GREEN, "^", "-."), (PURPLE, "D", ":"), (BLACK, "v", "-"))
DIVERGING = "PuOr"
VERDICTS = {
    "supported": (BLUE, "o", BLUE),
    "contradicted": (RED, "D", RED),
    "negligible": (GREY, "s", GREY),
    "inconclusive": (BLACK, "o", "white"),
    "not testable": (BLACK, "x", BLACK),
}  # edge, marker, face


# --- what may be shown --------------------------------------------------------------------------


def checked(draw: Callable[..., Axes]) -> Callable[..., Axes]:
    """A figure of real answers that rests on too few people is drawn as an empty one that says so."""

    @wraps(draw)
    def safe(result: Any, *args: Any, **options: Any) -> Axes:
        reason = withheld_whole(result)
        if reason is None:
            return draw(result, *args, **options)
        ax = options.get("ax") or next((one for one in args if isinstance(one, Axes)), None)
        return withheld(result, getattr(result, "title", "Figure"), reason, ax)

    return safe


def withheld(result: Any, title: str, reason: str, ax: Axes | None = None) -> Axes:
    """The figure that stands for one that may not be shown."""
    ax = _axes(ax, height=2, width=6)
    ax.set_axis_off()
    ax.text(0.5, 0.5, f"{WITHHELD.capitalize()}: {reason}.", ha="center", va="center", transform=ax.transAxes)
    return _signed(ax, result, title)


# --- answers ---------------------------------------------------------------------------------


@checked
def likert(responses: Any, names: str | Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Answers item by item as bars around the middle of the scale, as they were given (not reversed).

    Parameters
    ----------
    responses : Responses
    names : a construct, block or list of items that share one response scale; None for all items
    """
    having(responses, "coco.read_responses", "survey", "frame", "items")
    shares, scale = _answer_shares(responses, names)
    codes = [int(code) for code in shares.columns]
    ax = _axes(ax, height=1.6 + 0.36 * len(shares), width=9.5)
    colours = mpl.colormaps[DIVERGING](np.linspace(0.08, 0.92, len(codes)))
    if len(codes) % 2:
        colours[len(codes) // 2] = mpl.colors.to_rgba("#D9D9D9")
    below = [code for code in codes if code < _middle(scale)]
    starts = -(shares[below].sum(axis="columns") + _half_of_middle(shares, scale))
    places = np.arange(len(shares))[::-1]
    left = starts.to_numpy()
    for code, colour in zip(codes, colours):
        width = shares[code].to_numpy()
        ax.barh(
            places,
            width,
            left=left,
            height=0.72,
            color=colour,
            edgecolor="white",
            linewidth=0.6,
            label=figure_text(_point_label(scale, code)),
        )
        for place, start, size in zip(places, left, width):
            if size >= 0.055:
                dark = np.dot(colour[:3], (0.299, 0.587, 0.114)) < 0.5
                ax.text(
                    start + size / 2,
                    place,
                    f"{100 * size:.0f}",
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if dark else "black",
                )
        left = left + width
    ax.axvline(0, color="#333333", linewidth=0.7)
    ax.set_xlim(float(starts.min()) - 0.04, float(left.max()) + 0.04)
    ax.set_yticks(places, [figure_text(item_label(responses, name), 56) for name in shares.index], fontsize=8)
    ax.xaxis.set_major_formatter(lambda value, _: f"{abs(100 * value):.0f} %")
    merged = (
        "" if free(responses.provenance) else f"; categories of fewer than {current().cell} people joined with the next"
    )
    ax.set_xlabel(f"Share of answers (numbers are per cent{merged})")
    _legend_below(ax, columns=len(codes) if len(codes) < 6 else 4)
    return _signed(ax, responses, "Answers")


@checked
def missing(responses: Any, names: str | Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Share of missing answers item by item, one hatch a reason."""
    having(responses, "coco.read_responses", "provenance")
    frame = missing_by_reason(responses).set_index("item")
    frame = _safe_reasons(frame, responses.provenance)
    if names is not None:
        frame = frame.loc[_item_ids(responses, names)]
    ax = _axes(ax, height=1.5 + 0.24 * len(frame), width=7.5)
    places, left = np.arange(len(frame))[::-1], np.zeros(len(frame))
    for (reason, width), (colour, _, _), hatch in zip(frame.items(), SERIES * 3, ["", "///", "...", "xx", "\\\\"] * 3):
        ax.barh(
            places,
            width,
            left=left,
            height=0.75,
            color=colour,
            alpha=0.75,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.4,
            label=figure_text(str(reason).replace("_", " ")),
        )
        left = left + width.to_numpy()
    ax.set_yticks(places, [figure_text(name) for name in frame.index], fontsize=8)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    few = "" if free(responses.provenance) else f"; blank where fewer than {current().cell} people would be shown"
    ax.set_xlabel(f"Share of all rows without an answer{few}")
    ax.set_ylim(-0.7, len(frame) - 0.3)
    _legend_below(ax)
    return _signed(ax, responses, "Missing answers")


@checked
def flow(responses: Any, ax: Axes | None = None) -> Axes:
    """From the rows of the file to the rows analysed: each step that left rows out, and why."""
    ledger: Any = ledger_of(responses)
    steps = joined_steps(ledger, getattr(responses, "provenance", "yours"))
    counts = [int(ledger["n_before"].iloc[0])] if not len(steps) else [steps["n_before"].iloc[0], *steps["n_after"]]
    ax = _axes(ax, height=0.7 + 0.95 * len(counts), width=7)
    ax.set_axis_off()
    ax.set_xlim(0, 10)
    ax.set_ylim(-len(counts) + 0.45, 0.45)
    box = {"boxstyle": "round,pad=0.5", "facecolor": "#EAF2F8", "edgecolor": "#333333"}
    words = ["Rows read", *["Remaining"] * (len(counts) - 2), "Analysed"] if len(counts) > 1 else ["Rows analysed"]
    for i, (word, count) in enumerate(zip(words, counts)):
        ax.text(2.2, -i, f"{word}\nn = {_shown_count(count)}", ha="center", va="center", bbox=box, fontsize=10)
    for i, step in enumerate(steps.itertuples()):
        ax.annotate("", (2.2, -i - 0.72), (2.2, -i - 0.28), arrowprops={"arrowstyle": "-|>", "color": "#333333"})
        ax.annotate("", (4.3, -i - 0.5), (2.2, -i - 0.5), arrowprops={"arrowstyle": "-|>", "color": "#333333"})
        origin = "" if getattr(step, "origin", "plan") == "plan" else f" ({step.origin})"
        ax.text(4.45, -i - 0.5, figure_text(f"{step.rule}: {step.words} rows{origin}", 44), va="center", fontsize=9)
    return _signed(ax, responses, "Sample flow")


def sample_flow(stages: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """From those invited to those analysed: invited → opened → complete → attentive → analysed, with who was lost.

    ``stages`` is the table of `coco.sample_flow`. Complete and attentive are counts that leave nobody out, and drawn
    paler; a stage that cannot be told says what is missing.
    """
    if not isinstance(stages, pd.DataFrame) or not {"stage", "n", "lost", "known"} <= set(stages.columns):
        raise other(stages, "coco.sample_flow", "its columns stage, n, lost, known are needed")
    source = SimpleNamespace(provenance=mark_of(stages) or "yours")
    ax = _axes(ax, height=0.7 + 0.95 * len(stages), width=7)
    ax.set_axis_off()
    ax.set_xlim(0, 10)
    ax.set_ylim(-len(stages) + 0.45, 0.45)
    hidden = _close_stages(stages, source.provenance)
    rows: list[Any] = stages.to_dict("records")
    for i, row in enumerate(rows):
        counted = row["stage"] in ("complete", "attentive")
        known = pd.notna(row["n"])
        box = {"boxstyle": "round,pad=0.5", "facecolor": "#FFFFFF" if counted else "#EAF2F8",
               "edgecolor": GREY if counted else "#333333", "linestyle": "-" if known else "--"}  # fmt: skip
        n = f"n = {WITHHELD if row['stage'] in hidden else _shown_count(row['n'])}" if known else "not known"
        ax.text(2.2, -i, f"{row['stage'].capitalize()}\n{n}", ha="center", va="center", bbox=box, fontsize=10)
        told = _stage_told(row, hidden)
        if told:
            ax.text(4.3, -i, figure_text(told, 48), va="center", fontsize=9)
        if i:
            ax.annotate("", (2.2, -i + 0.28), (2.2, -i + 0.72), arrowprops={"arrowstyle": "-|>", "color": "#333333"})
    return _signed(ax, source, "Sample flow")


def _close_stages(stages: pd.DataFrame, provenance: str) -> set[str]:
    """Stages whose number would tell of a few people, held against those analysed and those who opened it."""
    if free(provenance):
        return set()
    n = stages.set_index("stage")["n"].astype(float)
    close = {
        str(stage)
        for stage, count in n.items()
        for base in ("analysed", "opened")
        if base in n and stage != base and 0 < abs(count - n[base]) < current().cell
    }
    few = {str(stage) for stage, count in n.items() if count < current().cell}
    return (close - {"analysed"}) | few


def _stage_told(row: Mapping[str, Any], hidden: set[str]) -> str:
    if pd.isna(row["n"]):
        return str(row["known"])
    if row["stage"] in ("complete", "attentive"):
        return "of those analysed"
    if pd.isna(row["lost"]) or not row["lost"] or hidden & {"opened", "invited"}:
        return ""
    reason = f": {row['reason']}" if row.get("reason") else ""
    return f"{int(row['lost'])} lost{reason}"


def _shown_count(count: Any) -> str:
    return WITHHELD if pd.isna(count) else str(int(count))


# --- measurement -------------------------------------------------------------------------------


@checked
def correlations(result: Any, ax: Axes | None = None, *, names: str | Sequence[str] | None = None) -> Axes:
    """Correlation heat map, in the order of the constructs when the survey says which item is whose.

    ``result`` is a result with ``.correlations``, a square DataFrame, or Responses (Pearson, pairwise,
    keyed; ``names`` says of which items).
    """
    matrix = _correlation_matrix(result, names)
    groups = _constructs_of(result, list(matrix.columns))
    order = [name for members in groups.values() for name in members]
    matrix = matrix.loc[order, order]
    size = len(order)
    ax = _axes(ax, height=2.6 + 0.26 * size, width=max(5.6, 3 + 0.28 * size))
    mesh = ax.imshow(matrix.to_numpy(dtype=float), cmap=DIVERGING + "_r", vmin=-1, vmax=1)
    ax.figure.colorbar(mesh, ax=ax, shrink=0.7, label="Correlation")
    names = [figure_text(name if len(groups) > 1 else label(result, name), 28) for name in order]
    ax.set_xticks(range(size), names, rotation=90, fontsize=8)
    ax.set_yticks(range(size), names, fontsize=8)
    ax.tick_params(length=0)
    _group_lines(ax, groups, result)
    if size <= 20:
        _write_cells(ax, matrix.to_numpy(dtype=float), symmetric=True)
    return _signed(ax, result, "Correlations")


@checked
def scree(result: Any, ax: Axes | None = None) -> Axes:
    """Eigenvalues of the sample against those of random data of the same size."""
    result = getattr(result, "parallel", result)
    frame = tidied(result, "coco.retention or coco.parallel_analysis")
    if not {"rank", "components", "factors"} & set(frame):
        raise other(result, "coco.retention or coco.parallel_analysis", "its tidy() has no eigenvalues")
    rank = frame["rank"] if "rank" in frame else pd.Series(range(1, len(frame) + 1))
    lines = [name for name in frame.columns if name != "rank" and pd.api.types.is_float_dtype(frame[name].dtype)]
    ax = _axes(ax, height=4, width=6.5)
    for i, name in enumerate(lines):
        random = any(word in str(name) for word in ("simulated", "random", "quantile"))
        colour, marker, _ = SERIES[(i // 2) % len(SERIES)]
        ax.plot(
            rank,
            frame[name],
            color=GREY if random else colour,
            marker=None if random else marker,
            markersize=4,
            linestyle="--" if random else "-",
            linewidth=1.3,
            label=figure_text(str(name).replace("_", " ")),
        )
    ax.axhline(1, color=GREY, linewidth=0.6, linestyle=":")
    ax.set_xlabel("Rank")
    ax.set_ylabel("Eigenvalue")
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    found = [
        f"{int(getattr(result, key))} {word}"
        for key, word in (("n_factors", "factors"), ("n_components", "components"))
        if getattr(result, key, None) is not None
    ]
    ax.legend(frameon=False, title=f"Parallel analysis: {', '.join(found)}" if found else None)
    return _signed(ax, result, "Eigenvalues")


@checked
def loadings(result: Any, ax: Axes | None = None) -> Axes:
    """Factor loadings as a map: items sorted by the factor they load on most, numbers written in."""
    having(result, "coco.efa", "loadings")
    matrix = sorted_loadings(result.loadings)
    rows, columns = matrix.shape
    ax = _axes(ax, height=1.4 + 0.32 * rows, width=5.5 + 0.75 * columns)
    ax.imshow(matrix.to_numpy(dtype=float), cmap=DIVERGING + "_r", vmin=-1, vmax=1, aspect="auto")
    ax.set_yticks(range(rows), [figure_text(item_label(result, name), 48) for name in matrix.index], fontsize=8)
    ax.set_xticks(range(columns), [figure_text(name) for name in matrix.columns])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    _write_cells(ax, matrix.to_numpy(dtype=float))
    return _signed(ax, result, "Factor loadings")


@checked
def invariance(result: Any, ax: Axes | None = None) -> Axes:
    """What each step of the ladder costs in CFI, beside the usual limits of −.010 and −.020."""
    frame = tidied(result, "coco.invariance", "step", "cfi", "delta_cfi")
    change = frame["delta_cfi"].to_numpy(dtype=float)
    places = np.arange(len(frame))
    ax = _axes(ax, height=3.4, width=6.5)
    ax.axhline(0, color="#333333", linewidth=0.8)
    for limit, style in ((-0.01, "--"), (-0.02, ":")):
        ax.axhline(limit, color=GREY, linewidth=0.9, linestyle=style)
        ax.text(
            len(frame) - 0.45, limit, written(limit, "bounded3"), fontsize=7.5, color="#555555", va="bottom", ha="right"
        )
    ax.plot(places, change, color=BLUE, marker="o", linewidth=1.3)
    for place, value in zip(places, change):
        if np.isfinite(value):
            ax.annotate(
                written(value, "bounded3"), (place, value), textcoords="offset points", xytext=(6, 6), fontsize=8.5
            )
    ax.set_xticks(
        places, [figure_text(f"{row.step}\nCFI {written(row.cfi, 'bounded3')}") for row in frame.itertuples()]
    )
    ax.set_xlim(-0.4, len(frame) - 0.4)
    ax.set_ylabel("Change in CFI against the step before")
    low = np.nanmin([*change, -0.022])
    ax.set_ylim(1.15 * low, max(0.006, np.nanmax([*change, 0]) + 0.004))
    return _signed(ax, result, getattr(result, "title", "Invariance"))


# --- propositions ------------------------------------------------------------------------------


@checked
def forest(verdicts: Any, ax: Axes | None = None, *, label: str | None = None) -> Axes:
    """Every hypothesis: estimate, 95 % and simultaneous intervals, the band of negligible sizes, the verdict.

    ``label`` keeps the rows whose label begins so ('confirmatory', 'exploratory', 'gate').
    """
    frame = tidied(verdicts, "coco.judge", "hypothesis", "verdict", "estimate", "sesoi", "label")
    frame = labelled(frame, label).reset_index(drop=True)
    ax = _axes(ax, height=1.8 + 0.38 * len(frame), width=9.5)
    places = np.arange(len(frame))[::-1]
    ax.axvline(0, color="#333333", linewidth=0.8)
    rows: list[Any] = frame.to_dict("records")
    for place, row in zip(places, rows):
        _one_estimate(ax, place, row)
    ax.set_yticks(places, [_hypothesis(verdicts, row) for row in rows], fontsize=8.5)
    ax.set_ylim(-0.7, len(frame) - 0.3)
    ax.set_xlabel("Standardised estimate")
    handles: list[Any] = [
        Line2D([], [], color=edge, marker=marker, markerfacecolor=face, linestyle="", label=name)
        for name, (edge, marker, face) in VERDICTS.items()
        if name in set(frame["verdict"]) - {"not testable"}
    ]
    handles.append(Line2D([], [], color="#333333", linewidth=1.8, label="95 % interval"))
    if {"simultaneous_lower", "simultaneous_upper"} <= set(frame.columns):
        handles.append(Line2D([], [], color="#333333", linewidth=0.7, label="simultaneous interval"))
    if frame["sesoi"].notna().any():
        handles.append(Patch(facecolor="#DDDDDD", label="smaller than the SESOI"))
    _legend_below(ax, handles=handles)
    return _signed(ax, verdicts, "Verdicts" if label is None else f"Verdicts: {label}")


def _one_estimate(ax: Axes, place: float, row: Mapping[str, Any]) -> None:
    edge, marker, face = VERDICTS[row["verdict"]]
    if pd.notna(row.get("sesoi")):
        ax.fill_betweenx(
            [place - 0.5, place + 0.5], -row["sesoi"], row["sesoi"], color="#DDDDDD", linewidth=0, zorder=0
        )
    if pd.isna(row["estimate"]):
        gate = row.get("label") == "gate" and row["verdict"] != "not testable"
        words = f" gate {'holds' if row['verdict'] == 'supported' else 'does not hold'}" if gate else " not testable"
        ax.text(0, place, words, fontsize=8, va="center", style="italic")
        return
    for lower, upper, width in (("simultaneous_lower", "simultaneous_upper", 0.7), ("ci_lower", "ci_upper", 1.8)):
        if pd.notna(row.get(lower)) and pd.notna(row.get(upper)):
            ax.plot([row[lower], row[upper]], [place, place], color=edge, linewidth=width, solid_capstyle="butt")
    ax.plot(row["estimate"], place, marker=marker, color=edge, markerfacecolor=face, markersize=7)


def _hypothesis(verdicts: Any, row: Mapping[str, Any]) -> str:
    words = [str(row[key]) for key in ("predictor", "outcome") if isinstance(row.get(key), str) and row.get(key)]
    shown = " → ".join(phrase(verdicts, word) for word in words)
    return figure_text(f"{row['hypothesis']}  {shown}", 58)


@checked
def slopes(result: Any, ax: Axes | None = None) -> Axes:
    """Simple slopes: what the predictor goes with at low, middle and high values of the moderator.

    Uses ``result.lines``: columns predictor, outcome, moderator, with lower and upper where known.
    """
    having(result, "coco.moderate", "lines")
    frame = result.lines() if callable(result.lines) else result.lines
    ax = _axes(ax, height=4, width=6)
    for (value, part), (colour, _, dash) in zip(frame.groupby("moderator", sort=True), SERIES):
        shown = written(value, "number") if isinstance(value, float) else figure_text(value)
        ax.plot(part["predictor"], part["outcome"], color=colour, linestyle=dash, label=shown)
        if {"lower", "upper"} <= set(part.columns):
            ax.fill_between(part["predictor"], part["lower"], part["upper"], color=colour, alpha=0.12, linewidth=0)
    names = {key: label(result, getattr(result, key, key)) for key in ("predictor", "outcome", "moderator")}
    ax.set_xlabel(figure_text(names["predictor"], 60))
    ax.set_ylabel(figure_text(names["outcome"], 44))
    ax.legend(frameon=False, title=figure_text(names["moderator"], 40))
    return _signed(ax, result, "Simple slopes")


@checked
def specification(result: Any, ax: Axes | None = None, *, hypothesis: str | None = None) -> Axes:
    """Specification curve: every defensible analysis, sorted by its estimate, with its verdict.

    In a figure of its own the choices stand below; into given Axes only the curve is drawn. ``hypothesis`` keeps one
    hypothesis of the plan; a curve of several would mix their estimates.
    """
    frame = tidied(result, "coco.multiverse", "estimate")
    if hypothesis is not None:
        frame = frame[frame["hypothesis"] == hypothesis]
    known = frame[frame["estimate"].notna()].sort_values("estimate", kind="stable").reset_index(drop=True)
    made = _choices(known)
    panel = None
    if ax is None and made:
        figure = plt.figure(figsize=(8, 3.6 + 0.24 * len(made)), layout="constrained")
        ax, panel = figure.subplots(2, 1, sharex=True, height_ratios=[3, 0.2 * len(made)])
    ax = _axes(ax, height=4, width=8)
    ax.axhline(0, color="#333333", linewidth=0.8)
    for verdict, (edge, marker, face) in VERDICTS.items():
        part = known[known["verdict"] == verdict] if "verdict" in known else known.iloc[0:0]
        if len(part):
            _interval_bars(ax, part, edge)
            ax.plot(
                part.index,
                part["estimate"],
                linestyle="",
                marker=marker,
                color=edge,
                markerfacecolor=face,
                markersize=4,
                label=f"{verdict} ({len(part)})",
            )
    if "verdict" not in known:
        _interval_bars(ax, known, BLUE)
        ax.plot(known.index, known["estimate"], linestyle="", marker="o", color=BLUE, markersize=4)
    if len(known):
        middle = float(known["estimate"].median())
        ax.axhline(middle, color=GREY, linestyle="--", linewidth=1, label=f"median {written(middle, 'number')}")
    failed = len(frame) - len(known)
    below = ax if panel is None else _choice_panel(panel, made)
    below.set_xlabel(f"{len(known)} specifications, sorted by estimate" + (f"; {failed} failed" if failed else ""))
    ax.set_ylabel("Estimate with 95 % interval")
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    return _signed(ax, result, "Specification curve" if hypothesis is None else f"Specification curve: {hypothesis}")


def _choices(known: pd.DataFrame) -> list[tuple[str, np.ndarray]]:
    """What could be chosen otherwise, as words, and the specifications (by place) in which it was chosen so."""
    names = [
        n for n in ("measure", "missing", "exclusions", "controls", "model", "vcov", "means", "joint") if n in known
    ]
    found = []
    for name in names:
        values = known[name].astype(str)
        if values.nunique() > 1:
            kept = [(value, np.flatnonzero(values == value)) for value in values.unique()]
            found += [(f"{name}: {_short(value)}", places) for value, places in kept]
    return found


def _short(words: str, most: int = 26) -> str:
    return figure_text(words if len(words) <= most else f"{words[: most - 1].rstrip(', ')} …")


def _choice_panel(panel: Axes, made: Sequence[tuple[str, np.ndarray]]) -> Axes:
    """A row of ticks for each choice, under the curve that it belongs to."""
    for row, (_, places) in enumerate(made):
        panel.plot(places, np.full(len(places), row), linestyle="", marker="|", markersize=5, color=BLUE)
    panel.set_yticks(range(len(made)), [words for words, _ in made], fontsize=7)
    panel.set_ylim(len(made) - 0.4, -0.6)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    return panel


def _interval_bars(ax: Axes, part: pd.DataFrame, colour: str) -> None:
    if {"ci_lower", "ci_upper"} <= set(part.columns):
        ax.vlines(part.index, part["ci_lower"], part["ci_upper"], color=colour, linewidth=0.7, alpha=0.55)


def power(result: Any, ax: Axes | None = None, *, rows: Sequence[str] | None = None) -> Axes:
    """Probability of each verdict, hypothesis by hypothesis, at one planned size after the other.

    ``rows`` keeps those hypotheses (or rows of the plan); None shows all.
    """
    frame = tidied(result, "coco.power", "hypothesis", "verdict")
    if rows is not None:
        named = frame["row"] if "row" in frame.columns else frame["hypothesis"]
        frame = frame[named.isin(rows) | frame["hypothesis"].isin(rows)]
    kinds = [name for name in VERDICTS if name in set(frame["verdict"])]
    keys = [next(name for name in ("row", "hypothesis") if name in frame), *(["size"] if "size" in frame else [])]
    shares = frame.pivot(index=keys, columns="verdict", values=_share_column(frame))
    shares = shares.loc[frame.set_index(keys).index.drop_duplicates()]
    shares = shares.sort_index(level=0, sort_remaining=False, key=_by_first_seen, kind="stable")
    ax = _axes(ax, height=1.6 + 0.3 * len(shares), width=8)
    places, left = np.arange(len(shares))[::-1], np.zeros(len(shares))
    fills = {
        "supported": BLUE,
        "contradicted": RED,
        "negligible": "#BBBBBB",
        "inconclusive": "white",
        "not testable": "white",
    }
    hatches = {"contradicted": "///", "negligible": "...", "not testable": "xxx"}
    for kind in kinds:
        width = shares[kind].fillna(0).to_numpy()
        ax.barh(
            places,
            width,
            left=left,
            height=0.78,
            color=fills[kind],
            hatch=hatches.get(kind, ""),
            edgecolor="#333333",
            linewidth=0.5,
            label=kind,
        )
        left = left + width
    names = [" · ".join(str(part) for part in (key if isinstance(key, tuple) else (key,))) for key in shares.index]
    ax.set_yticks(places, [figure_text(name) for name in names], fontsize=8.5)
    ax.set_xlim(0, 1)
    ax.set_ylim(-0.6, len(shares) - 0.4)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    ax.set_xlabel("Share of simulated studies with that verdict")
    _legend_below(ax)
    return _signed(ax, result, "What the verdict rule can reach")


def _by_first_seen(names: pd.Index) -> pd.Index:
    """Sort keys that keep what belongs together, in the order of its first appearance."""
    return pd.Index(pd.factorize(names)[0])


def _share_column(frame: pd.DataFrame) -> str:
    found = next((name for name in ("share", "probability", "rate") if name in frame.columns), None)
    if found is None:
        raise ModelError(f"The table of power has no column 'share'; it has {listed(frame.columns)}.", code="NoShare")
    return found


@checked
def path(result: Any, ax: Axes | None = None) -> Axes:
    """Path diagram of a measurement or structural model with standardised estimates.

    Of several groups and levels the first is drawn, which the title names.
    """
    from cocoanalysis.report.pathdiagram import draw

    ax = _axes(ax, height=5, width=8.5)
    part = draw(ax, result)
    title = getattr(result, "title", "Path diagram")
    return _signed(ax, result, f"{title}: {part}" if part else title)


@checked
def missing_map(result: Any, by: str | None = None, ax: Axes | None = None) -> Axes:
    """Heat map of missing answers: constructs × groups, the share of unanswered questions written in.

    Parameters
    ----------
    result : from ``coco.missingness``
    by : a background question, such as 'role'; None for who is rated (self or other), where the survey asks it

    Of real answers, cells that rest on fewer people than the threshold are left empty.
    """
    having(result, "coco.missingness", "across", "survey")
    address = getattr(result.survey, "address", None)
    by = getattr(address, "column", None) if by is None else by
    if by is None:
        raise ResponseError("The survey rates one source only; name a background question with by=.", code="NoGroups")
    frame = result.across(by)
    sizes = frame.attrs["n"]
    shares = frame.to_numpy(dtype=float)
    if not free(result.provenance):
        counts = np.array([sizes[str(name)] for name in frame.columns])
        few = np.minimum(shares * counts, (1 - shares) * counts) < current().cell
        shares = np.where(few | (counts < current().cell), np.nan, shares)
    ax = _axes(ax, height=1.8 + 0.3 * len(frame), width=4.5 + 1.3 * len(frame.columns))
    most = max(float(np.nanmax(shares, initial=0)), 0.01)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1.25 * most, aspect="auto")
    words = [_answer_label(result, by, name) for name in frame.columns]
    ax.set_xticks(range(len(words)), [f"{figure_text(word, 18)}\n(n = {sizes[str(name)]})" for word, name in
                                      zip(words, frame.columns)], fontsize=8)  # fmt: skip
    ax.set_yticks(range(len(frame)), [figure_text(label(result, name), 34) for name in frame.index], fontsize=8)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    for (row, column), value in np.ndenumerate(shares):
        if np.isfinite(value):
            colour = "white" if value > 0.8 * most else "black"
            ax.text(column, row, written(value, "percent"), ha="center", va="center", fontsize=8, color=colour)
    return _signed(ax, result, f"Share of questions without an answer, by {label(result, by)}")


def _answer_label(result: Any, question: str, code: object) -> str:
    """What an answer to a background question is called in the survey's words."""
    asked = getattr(result.survey, "background", {}).get(question)
    return plain(code if asked is None else asked.labels("en").get(str(code), code))


# --- parts -------------------------------------------------------------------------------------


def _axes(ax: Axes | None, *, height: float, width: float) -> Axes:
    """The given Axes, or those of a new pyplot figure (which a notebook shows by itself)."""
    if ax is None:
        ax = plt.figure(figsize=(min(width, 16), min(height, 26)), layout="constrained").add_subplot()
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def _signed(ax: Axes, result: Any, title: str) -> Axes:
    """Title on top and provenance at the foot: the last line of every figure."""
    origin = _counted(origin_of(result, str(title)), result)
    ax.set_title(figure_text(title), loc="left", fontsize=11, fontweight="bold")
    if origin.provenance != "yours" and origin.notes:
        _provenance_line(ax.figure, figure_text(origin.notes[0]))
    faults = [d for d in getattr(result, "diagnostics", ()) if getattr(d, "severity", "") == "error"]
    if faults:
        codes = listed(dict.fromkeys(str(fault.code) for fault in faults))
        _provenance_line(ax.figure, f"Not to be interpreted: {codes}. The notes of the result say why.")
    return remember(ax, origin)


def _counted(origin: Origin, result: Any) -> Origin:
    """The origin with the number of people behind a figure of real answers."""
    if free(origin.rules):
        return origin
    numbers = [people(one)[0] for one in (result if isinstance(result, (list, tuple)) else [result])]
    known = [n for n in numbers if n is not None]
    if not known:
        return origin
    key = f"figure {origin.title} {getattr(result, 'formula', '')}".strip()
    first = result[0] if isinstance(result, (list, tuple)) else result
    sample = sample_of(getattr(first, "ledger", None))
    return replace(origin, counted=Counted({key: min(known)}, frozenset({"figure"}), sample, origin.title))


def _provenance_line(figure: Any, note: str) -> None:
    """The sentence on the data at the foot of the figure, once; above the legend where one lies there."""
    if getattr(figure, "legends", None):
        figure.legends[0].set_title(note, prop={"size": 7.5})
        return
    said = figure._supxlabel.get_text() if getattr(figure, "_supxlabel", None) else ""
    if note not in said:
        figure.supxlabel(f"{said}\n{note}".strip(), x=0.01, ha="left", fontsize=7.5, color="#444444")


def _legend_below(ax: Axes, columns: int = 4, handles: list[Any] | None = None) -> None:
    """The legend under the figure when it is ours alone, else where matplotlib finds room."""
    found = handles if handles is not None else ax.get_legend_handles_labels()[0]
    figure: Any = ax.figure
    found = [found[i] for i in np.argsort([k % columns for k in range(len(found))], kind="stable")]  # rows first
    if len(figure.axes) == 1 and figure.get_layout_engine() is not None:
        figure.legend(handles=found, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    else:
        ax.legend(handles=found, ncols=min(columns, 2), fontsize=7)


def _item_ids(responses: Any, names: str | Sequence[str] | None) -> list[str]:
    """Items by id, and those of the constructs or blocks among the names."""
    if not isinstance(names, (list, tuple)):
        return list(responses.items(names).columns)
    survey = responses.survey
    return [item for name in names for item in ([name] if name in survey.items else survey.item_ids(name))]


def _answer_shares(responses: Any, names: str | Sequence[str] | None) -> tuple[pd.DataFrame, Any]:
    """Share of each answer category among the answers given, items as rows, and their one scale."""
    items = _item_ids(responses, names)
    scales = {responses.survey.items[item].scale.id: responses.survey.items[item].scale for item in items}
    if len(scales) != 1:
        raise ResponseError(
            f"The items have {len(scales)} response scales ({listed(scales)}); a figure of answers shows one. "
            "Name a construct or block whose items share their scale.",
            code="SeveralScales",
        )
    (scale,) = scales.values()
    codes = sorted(point.code for point in scale.points)
    counts = {item: responses.frame[item].value_counts().reindex(codes).fillna(0.0) for item in items}
    shares = pd.DataFrame(counts).T.astype(float)
    if not free(responses.provenance):
        shares = shares.apply(merged_small, axis="columns", result_type="broadcast")
    return shares.div(shares.sum(axis="columns").where(lambda total: total > 0), axis="index").fillna(0.0), scale


def merged_small(counts: pd.Series, cell: int | None = None) -> pd.Series:
    """Answer categories of too few people, added to the next towards the middle; nothing when all are too few."""
    cell = current().cell if cell is None else cell
    values = counts.to_numpy(dtype=float).copy()
    middle = (len(values) - 1) / 2
    for place in sorted(range(len(values)), key=lambda i: -abs(i - middle)):
        towards = place + 1 if place < middle else place - 1
        if values[place] < cell and place != round(middle):
            values[towards] += values[place]
            values[place] = 0
    small = [i for i, value in enumerate(values) if 0 < value < cell]
    for place in small:  # the middle itself is too small: it joins the larger side
        side = max((i for i in range(len(values)) if i != place), key=lambda i: values[i])
        values[side] += values[place]
        values[place] = 0
    return pd.Series(values if values.sum() >= cell else np.zeros_like(values), index=counts.index)


def _safe_reasons(frame: pd.DataFrame, provenance: str) -> pd.DataFrame:
    """Shares by reason; of data that are not public one share of all reasons, blank where few people are behind it."""
    if free(provenance):
        return frame.drop(columns=["any reason", "n"])
    people = frame["any reason"] * frame["n"]
    known = np.minimum(people.round(), (frame["n"] - people).round()) >= current().cell
    return frame[["any reason"]].where(known, 0.0)


def _middle(scale: Any) -> float:
    codes = sorted(point.code for point in scale.points)
    return float(np.median(codes))


def _half_of_middle(shares: pd.DataFrame, scale: Any) -> Any:
    middle = _middle(scale)
    return shares[middle] / 2 if middle in shares.columns else 0.0


def _point_label(scale: Any, code: int) -> str:
    text = next(point.label for point in scale.points if point.code == code)
    return str(text.get("en") or next(iter(text.values())))


def _correlation_matrix(result: Any, names: str | Sequence[str] | None) -> pd.DataFrame:
    if hasattr(result, "ledger") and hasattr(result, "items"):
        return result.items(names, keyed=True).corr()
    matrix = result if isinstance(result, pd.DataFrame) else getattr(result, "correlations", None)
    if not isinstance(matrix, pd.DataFrame) or matrix.shape[0] != matrix.shape[1]:
        raise ModelError(
            f"A heat map needs a square correlation matrix, Responses, or a result with '.correlations'; "
            f"a {type(result).__name__} came.",
            code="NoMatrix",
        )
    return matrix


def _constructs_of(result: Any, names: list[str]) -> dict[str, list[str]]:
    """Columns by construct in the survey's order; one unnamed group where no survey knows them."""
    survey = getattr(result, "survey", None)
    groups: dict[str, list[str]] = {}
    for construct in survey.constructs.values() if survey is not None else ():
        members = [item for item in construct.items if item in names]
        if members:
            groups[construct.id] = members
    rest = [name for name in names if not any(name in members for members in groups.values())]
    return {**groups, "": rest} if rest else groups


def _group_lines(ax: Axes, groups: Mapping[str, list[str]], result: Any) -> None:
    """A line between constructs, and their names along the upper edge."""
    if len(groups) < 2:
        return
    ends = np.cumsum([len(members) for members in groups.values()])
    for end in ends[:-1]:
        for line in (ax.axhline, ax.axvline):
            line(end - 0.5, color="#333333", linewidth=0.7)
    centres = ends - np.array([len(members) for members in groups.values()]) / 2 - 0.5
    upper = ax.secondary_xaxis("top")
    names = [figure_text(label(result, name), 22) if name else "" for name in groups]
    upright = max(len(name) for name in names) > 4 * min(len(members) for members in groups.values())
    upper.set_xticks(centres, names, rotation=90 if upright else 0, fontsize=8)
    upper.tick_params(length=0)


def _write_cells(ax: Axes, values: np.ndarray, *, symmetric: bool = False) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value) and not (symmetric and row == column):
            ax.text(
                column,
                row,
                written(float(value), "bounded"),
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if abs(value) > 0.62 else "black",
            )
