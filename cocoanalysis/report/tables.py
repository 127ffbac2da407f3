"""Every table of the report: one function a kind of result, result in, great_tables GT out.

Tables show, they never compute: the numbers are those of `tidy()` and `glance()`. Each carries
a fixed id (so that two runs write the same HTML), headings from HEADINGS, and the notes of its
result, provenance first. To add a table, write a function that ends in `_table(...)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from great_tables import GT, loc, style

from cocoanalysis.errors import ModelError, listed
from cocoanalysis.report.given import as_table, glanced, having, ledger_of, named, other, tidied
from cocoanalysis.report.labels import item_label, label, phrase, plain
from cocoanalysis.report.origin import ATTRIBUTE, Origin, notes_of, origin_of, remember
from cocoanalysis.responses.disclosure import (
    COUNTS,
    WITHHELD,
    WRITTEN,
    Counted,
    SafeTable,
    current,
    free,
    group_facts,
    joined_ledger,
    people,
    safe_table,
    sample_of,
    withheld_whole,
)
from cocoanalysis.responses.ledger import rows_apart

MISSING = ""

# --- how a number is written ---------------------------------------------------------------


def written(value: Any, kind: str) -> str:
    """One cell as text: 'count', 'number', 'bounded' (APA: no leading zero), 'p', 'df', 'percent', 'bool', 'text'."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return MISSING
    return WRITERS[kind](value)


def _number(value: float, digits: int = 2) -> str:
    return _minus(f"{round(float(value), digits) + 0.0:.{digits}f}")


def _bounded(value: float, digits: int = 2) -> str:
    return (
        _number(value, digits).replace("0.", ".", 1) if abs(round(float(value), digits)) < 1 else _number(value, digits)
    )


def _p(value: float) -> str:
    return "<\u00a0.001" if float(value) < 0.001 else _bounded(value, 3)


def _df(value: float) -> str:
    return str(round(float(value))) if float(value).is_integer() else _number(value, 1)


def _minus(text: str) -> str:
    return text.replace("-", "−")


WRITERS: dict[str, Callable[[Any], str]] = {
    "count": lambda value: _minus(f"{float(value):.0f}"),
    "number": _number,
    "number3": lambda value: _number(value, 3),
    "bounded": _bounded,
    "bounded3": lambda value: _bounded(value, 3),
    "p": _p,
    "df": _df,
    "percent": lambda value: f"{100 * float(value):.0f} %",
    "bool": lambda value: "yes" if bool(value) else "no",
    "text": plain,
}

# --- what a column is called and how its numbers are written --------------------------------

HEADINGS: dict[str, tuple[str, str]] = {
    "n": ("n", "count"),
    "n_items": ("Items", "count"),
    "n_groups": ("Groups", "count"),
    "n_parameters": ("Parameters", "count"),
    "n_before": ("Before", "count"),
    "n_after": ("After", "count"),
    "rows": ("Rows", "count"),
    "cells": ("Cells", "count"),
    "missing": ("Missing", "count"),
    "share": ("Share", "percent"),
    "mean": ("M", "number"),
    "sd": ("SD", "number"),
    "skew": ("Skew", "number"),
    "kurtosis": ("Kurtosis", "number"),
    "floor": ("Lowest", "percent"),
    "ceiling": ("Highest", "percent"),
    "item_rest": ("Item–rest r", "bounded"),
    "key_suspect": ("Key", "text"),
    "alpha_if_dropped": ("α if dropped", "bounded"),
    "alpha": ("α", "bounded"),
    "alpha_lower": ("α lower", "bounded"),
    "alpha_upper": ("α upper", "bounded"),
    "omega_total": ("ω", "bounded"),
    "omega_lower": ("ω lower", "bounded"),
    "omega_upper": ("ω upper", "bounded"),
    "omega_hierarchical": ("ω hierarchical", "bounded"),
    "ave": ("AVE", "bounded"),
    "mean_item_rest": ("Mean item–rest r", "bounded"),
    "alpha_ordinal": ("Ordinal α", "bounded"),
    "omega": ("ω of the model", "bounded"),
    "omega_ordinal": ("ω, ordinal items", "bounded"),
    "omega_latent": ("ω, opinions behind", "bounded"),
    "omega_general": ("of the general factor", "bounded"),
    "omega_group": ("of its own factor", "bounded"),
    "omega_h": ("ω hierarchical", "bounded"),
    "omega_lim": ("ω_h of endlessly many", "bounded"),
    "g6": ("λ6", "bounded"),
    "ecv": ("ECV", "bounded"),
    "puc": ("PUC", "bounded"),
    "splits": ("Splits", "count"),
    "odd_even": ("Odd–even", "number"),
    "largest_r2": ("Largest shared", "bounded"),
    "nearest": ("Shared with", "text"),
    "design_effect": ("Design effect", "number"),
    "raw": ("All answers", "bounded"),
    "within": ("Within", "bounded"),
    "between": ("Between", "bounded"),
    "between_unweighted": ("Between, unweighted", "bounded"),
    "htmt": ("HTMT", "bounded"),
    "communality": ("h²", "bounded"),
    "uniqueness": ("u²", "bounded"),
    "chi2": ("χ²", "number"),
    "df": ("df", "df"),
    "p_value": ("p", "p"),
    "p_adjusted": ("p adj.", "p"),
    "cfi": ("CFI", "bounded3"),
    "tli": ("TLI", "bounded3"),
    "rmsea": ("RMSEA", "bounded3"),
    "srmr": ("SRMR", "bounded3"),
    "aic": ("AIC", "number"),
    "bic": ("BIC", "number"),
    "loglik": ("log L", "number"),
    "delta_chi2": ("Δχ²", "number"),
    "delta_df": ("Δdf", "df"),
    "delta_cfi": ("ΔCFI", "bounded3"),
    "delta_rmsea": ("ΔRMSEA", "bounded3"),
    "delta_srmr": ("ΔSRMR", "bounded3"),
    "identified": ("Identified", "bool"),
    "converged": ("Converged", "bool"),
    "admissible": ("Admissible", "bool"),
    "est": ("Estimate", "number3"),
    "estimate": ("Estimate", "number3"),
    "se": ("SE", "number3"),
    "z": ("z", "number"),
    "statistic": ("t", "number"),
    "est_std": ("Standardised", "number3"),
    "std_all": ("Standardised", "bounded3"),
    "std_lv": ("Std. (latent)", "number3"),
    "ci_lower": ("95 % lower", "number3"),
    "ci_upper": ("95 % upper", "number3"),
    "sesoi": ("SESOI", "number"),
    "icc1": ("ICC(1)", "bounded3"),
    "icc2": ("ICC(2)", "bounded3"),
    "groups": ("Groups", "count"),
    "f": ("F", "number"),
    "k": ("Mean cluster size", "number"),
    "rwg": ("r_wg", "bounded"),
    "kmo": ("KMO", "number"),
    "eta_x": ("η", "bounded"),
    "eta_y": ("η of the other", "bounded"),
    "x": ("Scale", "text"),
    "y": ("With", "text"),
    "holds": ("Holds", "bool"),
    "mi": ("MI", "number"),
    "epc": ("Expected change", "number3"),
    "sepc_all": ("Standardised change", "number3"),
    "n_flagged": ("Flagged", "count"),
    "share_flagged": ("Share", "percent"),
    "residual": ("Residual", "bounded"),
    "vif": ("VIF", "number"),
    "vif_max": ("Largest VIF", "number"),
    "cooks_distance_max": ("Largest Cook's D", "number3"),
    "reset_p": ("RESET p", "p"),
    "breusch_pagan_p": ("Breusch–Pagan p", "p"),
    "jarque_bera_p": ("Jarque–Bera p", "p"),
    "partial_r_squared": ("Partial R²", "bounded3"),
    "p_scores": ("p (scores)", "p"),
    "p_latent": ("p (latent)", "p"),
    "scores": ("Between scores", "number"),
    "latent": ("Between constructs", "number"),
    "se_scores": ("SE", "number3"),
    "slope": ("Slope", "number3"),
    "any_wrong": ("At least one wrong", "bounded3"),
    "any_wrong_se": ("Standard error", "bounded3"),
    "raters": ("Raters", "count"),
    "median_p": ("Joint p", "p"),
    "same_sign": ("Same sign", "percent"),
    "same_verdict": ("Same verdict", "percent"),
    "lhs": ("Left", "text"),
    "op": ("", "text"),
    "rhs": ("Right", "text"),
    "term": ("Term", "text"),
    "ci": ("95 % CI", "text"),
}


def heading(name: object) -> str:
    """The heading of a column; of an unknown one its name in plain words; 'mean, without' is a known one's."""
    known, comma, rest = str(name).partition(", ")
    if known in HEADINGS:
        return HEADINGS[known][0] + comma + plain(rest)
    words = plain(str(name).replace("_", " "))
    return words[:1].upper() + words[1:]


def kind_of(name: object, column: pd.Series) -> str:
    """How a column's cells are written: as HEADINGS says, else by what they are."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return "bool"
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return "text"
    if str(name) in HEADINGS and HEADINGS[str(name)][1] != "text":
        return HEADINGS[str(name)][1]
    return "count" if pd.api.types.is_integer_dtype(column.dtype) else "number"


class Table(GT):
    """A great_tables GT that says in one line what it is; its own text would hold addresses of memory."""

    def __repr__(self) -> str:
        origin = getattr(self, ATTRIBUTE, None)
        title = origin.title if isinstance(origin, Origin) else "Table"
        rows = len(self._tbl_data)
        return f"<{title}: a table of {rows} row{'s' * (rows != 1)}>"


NAMING = ("scale", "factor", "nearest", "variable", "x", "y", "outcome", "predictor")  # cells that a survey can label

# --- tables ----------------------------------------------------------------------------------


def estimates(result: Any, *, title: str | None = None, columns: Sequence[str] = (), id: str = "coco-estimates") -> GT:
    """Any result as a table of its estimates, one row each; ``columns`` keeps those of `tidy()`, in that order."""
    frame = tidied(result, "an analysis", *columns)
    shown = frame[list(columns)].copy() if columns else frame.copy()
    for name in _present(shown, *NAMING):
        shown[name] = [phrase(result, value) if isinstance(value, str) else value for value in frame[name]]
    return _table(result, _without_empty(shown), title or result.title, id=id, raw=frame)


def framed(frame: pd.DataFrame, *, title: str = "Table", id: str = "coco-frame", source: Any = None) -> GT:
    """A plain DataFrame in the look of the report; ``source`` is the result or the responses it was made from."""
    plain_index = isinstance(as_table(frame).index, pd.RangeIndex)
    return _table(frame if source is None else source, frame if plain_index else frame.reset_index(), title, id=id)


def constructs(survey: Any) -> GT:
    """What a survey measures: one row a construct, in the order of the files."""
    having(survey, "coco.read_survey", "constructs", "items", "title")
    rows = [
        {
            "construct": survey.label(id),
            "role": construct.role or "",
            "point": construct.point or "",
            "items": len(construct.items),
            "reverse": sum(survey.items[item].key < 0 for item in construct.items),
            "answered by": construct.scale.title.get("en", construct.scale.id),
            "kind": "composite" if construct.composite else "reflective",
        }
        for id, construct in survey.constructs.items()
    ]
    return _table(survey, pd.DataFrame(rows), f"What '{survey.title['en']}' measures", id="coco-constructs")


def items(survey: Any, name: str | Sequence[str] | None = None, *, language: str = "en") -> GT:
    """The items of a construct or block: wording, key, and the point of the source each stands for."""
    having(survey, "coco.read_survey", "items", "item_ids")
    chosen = [survey.items[id] for id in survey.item_ids(name)]
    rows = [
        {
            "item": item.id,
            "wording": item.wording(language),
            "key": "reverse" if item.key < 0 else "forward",
            "stands for": item.source,
            "status": item.status.get(language, ""),
        }
        for item in chosen
    ]
    title = f"Items: {survey.label(name)}" if isinstance(name, str) else "Items"
    return _table(survey, pd.DataFrame(rows), title, id="coco-items")


def descriptives(result: Any) -> GT:
    """Items one by one: answers, mean, spread, lowest and highest category, item–rest correlation."""
    frame = _item_frame(result)
    columns = [
        "item",
        "n",
        "missing",
        "mean",
        "sd",
        "skew",
        "kurtosis",
        "floor",
        "ceiling",
        "item_rest",
        "alpha_if_dropped",
    ]
    shown = frame[_present(frame, *columns)].copy()
    if "key_suspect" in frame and frame["key_suspect"].any():
        shown["key_suspect"] = frame["key_suspect"].map({True: "check the key", False: MISSING})
    group = next((name for name in ("scale", "construct") if name in frame.columns), None)
    if group:
        shown.insert(0, "scale", [label(result, name) for name in frame[group]])
    shown["item"] = [item_label(result, name) for name in shown["item"]]
    options: dict[str, Any] = {"groupname": "scale" if group else None, "shares": ("floor", "ceiling"), "raw": frame}
    return _table(result, shown, "Items", id="coco-descriptives", rowname="item", **options)


def reliability(result: Any) -> GT:
    """Scales one by one: α and ω with their intervals, ω hierarchical, AVE."""
    frame = tidied(result, "coco.reliability", "scale", "alpha")
    shown = pd.DataFrame({"scale": [label(result, name) for name in frame["scale"]]})
    shown = shown.join(frame[_present(frame, "n_items", "n")])
    for name, lower, upper in (("alpha", "alpha_lower", "alpha_upper"), ("omega_total", "omega_lower", "omega_upper")):
        if name in frame:
            shown[name] = frame[name]
            shown[f"{name} 95 % CI"] = intervals(frame, lower, upper, "bounded")
    shown = _without_empty(shown.join(frame[_present(frame, "omega_hierarchical", "ave", "mean_item_rest")]))
    table = _table(result, shown, "Reliability", id="coco-reliability", rowname="scale", raw=frame)
    return table.cols_label({name: "95 % CI" for name in shown.columns if str(name).endswith("95 % CI")})


def loadings(result: Any, *, suppress: float = 0.0, sort: bool = True) -> GT:
    """Factor loadings item by item, sorted by factor and size; loadings below ``suppress`` are left blank."""
    having(result, "coco.efa", "loadings", "communalities", "uniquenesses")
    matrix = sorted_loadings(result.loadings) if sort else result.loadings
    shown = matrix.where(matrix.abs() >= suppress) if suppress else matrix.copy()
    factors = [str(name) for name in shown.columns]
    shown.columns = pd.Index(factors)
    for name, source in (("communality", "communalities"), ("uniqueness", "uniquenesses")):
        shown[name] = pd.Series(getattr(result, source)).reindex(matrix.index).to_numpy()
    shown.insert(0, "item", [item_label(result, name) for name in matrix.index])
    notes = [f"Loadings below {_bounded(suppress)} in absolute size are not shown."] if suppress else []
    table = _table(
        result,
        shown,
        result.title,
        id="coco-loadings",
        rowname="item",
        notes=notes,
        raw=matrix.reset_index(names="item"),
    )
    strong = style.text(weight="bold")
    for name in factors:
        rows = [i for i, value in enumerate(matrix[matrix.columns[factors.index(name)]].abs()) if value >= 0.4]
        table = table.tab_style(strong, loc.body(columns=name, rows=rows)) if rows else table
    return table.fmt(lambda value: written(value, "bounded"), columns=factors)


def sorted_loadings(matrix: pd.DataFrame) -> pd.DataFrame:
    """Items ordered by the factor they load on most, and within it by the size of that loading."""
    size = matrix.abs().to_numpy()
    order = np.lexsort((-size.max(axis=1), size.argmax(axis=1)))
    return matrix.iloc[order]


def correlations(result: Any) -> GT:
    """A correlation matrix as its lower triangle, with the rows numbered as the columns."""
    matrix = result if isinstance(result, pd.DataFrame) else _matrix(result)
    names = [label(result, name) for name in matrix.columns]
    lower = matrix.where(np.tril(np.ones(matrix.shape, dtype=bool), k=-1)).iloc[:, :-1]
    shown = lower.set_axis([str(i + 1) for i in range(len(lower.columns))], axis=1)
    shown.insert(0, "variable", [f"{i + 1} {name}" for i, name in enumerate(names)])
    title = "Factor correlations" if hasattr(result, "factor_correlations") else "Correlations"
    table = _table(result, shown.reset_index(drop=True), title, id="coco-correlations", rowname="variable", raw=matrix)
    return table.fmt(lambda value: written(value, "bounded"), columns=list(shown.columns[1:]))


def retention(result: Any) -> GT:
    """How many factors: what each criterion suggests; of a parallel analysis alone its eigenvalues rank by rank."""
    maker = "coco.retention or coco.parallel_analysis"
    columns = ["criterion", "suggests"] if hasattr(result, "parallel") else ["rank"]
    return _table(result, tidied(result, maker, *columns), "Number of factors", id="coco-retention")


def fit(*fits: Any, names: Sequence[str] = ()) -> GT:
    """One row a model: χ², df, CFI, TLI, RMSEA with interval, SRMR; a faulty fit names its fault.

    Where a fit has scaled values, those are shown, and robust indices where every such fit of the table has them:
    indices of two kinds are not to be compared. The note says so.
    """
    models = _models(fits, names)
    glances = {name: glanced(model, "coco.cfa or coco.sem", "chi2", "df").iloc[0] for name, model in models.items()}
    adjusted = [row for row in glances.values() if _there(row, "chi2_scaled") or _there(row, "rmsea_robust")]
    robust, rows, any_scaled = all(_there(row, "rmsea_robust") for row in adjusted), [], False
    for name, model in models.items():
        chosen, scaled = chosen_measures(glances[name], robust=robust)
        any_scaled = any_scaled or scaled
        rows.append({"model": plain(name), **chosen, "remark": _faults(model)})
    shown = _without_empty(pd.DataFrame(rows))
    raw = pd.concat([m.glance().assign(model=name) for name, m in models.items()], ignore_index=True)
    notes = [*_kinds_told(any_scaled, bool(adjusted) and robust), *_rows_told(models)]
    sources = [_without_measures(model) for model in models.values()]
    table = _table(sources, shown, "Model fit", id="coco-fit", rowname="model", notes=notes, raw=raw)
    names_of = {"rmsea 90 % CI": "90 % CI", "rmsea unscaled": "Unscaled, 90 % CI", "remark": "Remark"}
    return table.cols_label({name: text for name, text in names_of.items() if name in shown})


def _there(row: pd.Series, name: str) -> bool:
    return bool(pd.notna(row.get(name, np.nan)))


def _kinds_told(scaled: bool, robust: bool) -> list[str]:
    told = ["χ² is scaled"] if scaled else []
    told += [f"CFI, TLI and RMSEA are {'robust' if robust else 'scaled'}"] if scaled or robust else []
    return [f"{'; '.join(told)}."] if told else []


def _without_measures(model: Any) -> Any:
    """The model for the notes of a table of fits or of misfit, without its own line of χ² and indices."""
    kept = [note for note in notes_of(model) if not note.startswith("χ²(")]
    facts = {name: getattr(model, name, None) for name in ("settings", "ledger", "glance")}
    return SimpleNamespace(provenance=getattr(model, "provenance", "yours"), notes=lambda: kept, **facts)


def chosen_measures(row: pd.Series, *, robust: bool = True) -> tuple[dict[str, Any], bool]:
    """The measures of one fit that belong together: robust where they exist (and are wanted), else scaled, else plain.

    The second value says whether χ² is a scaled one. An interval is shown only with the RMSEA it belongs to:
    where there is none for the robust one, the unscaled RMSEA stands beside with its own.
    """

    def first(*names: str) -> Any:
        return next((row[name] for name in names if name in row.index and pd.notna(row[name])), np.nan)

    scaled = pd.notna(row.get("chi2_scaled", np.nan))
    kinds = ("_robust", "_scaled", "") if robust else ("_scaled", "")
    tail = "_scaled" if scaled else ""
    chosen = {
        "n": first("n"),
        "chi2": first(f"chi2{tail}"),
        "df": first(f"df{tail}", "df"),
        "p_value": first(f"p_value{tail}"),
        "cfi": first(*(f"cfi{kind}" for kind in kinds)),
        "tli": first(*(f"tli{kind}" for kind in kinds)),
        "rmsea": first(*(f"rmsea{kind}" for kind in kinds)),
    }
    kind = next((k for k in kinds if pd.notna(row.get(f"rmsea{k}", np.nan))), "")
    lower, upper = (row.get(f"rmsea_{side}{kind}", np.nan) for side in ("lower", "upper"))
    chosen["rmsea 90 % CI"] = interval(lower, upper, "bounded3")
    if kind and not chosen["rmsea 90 % CI"]:
        own = interval(row.get("rmsea_lower", np.nan), row.get("rmsea_upper", np.nan), "bounded3")
        chosen["rmsea unscaled"] = f"{written(row.get('rmsea'), 'bounded3')} {own}".strip() if own else MISSING
    chosen["srmr"] = first("srmr")
    return chosen, scaled


def parameters(result: Any) -> GT:
    """Every parameter of a fitted model: estimate, error, interval and its standardised value."""
    frame = tidied(result, "coco.cfa or coco.sem", "lhs", "op", "rhs", "est", standardized=True)
    shown = frame[_present(frame, "lhs", "op", "rhs", "group", "level", "est", "se", "z", "p_value")].copy()
    shown = shown.drop(columns=[name for name in _present(shown, "group", "level") if shown[name].nunique() < 2])
    shown["ci"] = intervals(frame, "ci_lower", "ci_upper", "number3")
    shown = _without_empty(shown.join(frame[_present(frame, "std_all")]))
    return _table(result, shown, f"{result.title}: parameters", id="coco-parameters", raw=frame)


def loadings_side_by_side(fits: Mapping[str, Any]) -> GT:
    """Standardised loadings of several fits of one model, item by item."""
    columns = {}
    for name, model in named(fits, "coco.cfa or coco.sem").items():
        table: Any = tidied(model, "coco.cfa or coco.sem", "lhs", "op", "rhs", "std_all", standardized=True)
        table = table[table["op"] == "=~"]
        columns[plain(name)] = table.set_index(["lhs", "rhs"])["std_all"]
    raw = pd.DataFrame(columns).reset_index(names=["factor", "item"])
    models = list(fits.values())
    shown = raw.assign(factor=[label(models[0], name) for name in raw["factor"]])
    shown["item"] = [item_label(models[0], name) for name in raw["item"]]
    table = _table(
        models, shown, "Standardised loadings", id="coco-beside", rowname="item", groupname="factor", raw=raw
    )
    return table.fmt(_writer("bounded"), columns=list(columns))


def modifications(result: Any, most: int = 10) -> GT:
    """The parameters whose release would lower χ² most; a description of misfit, no licence to free them."""
    having(result, "coco.cfa or coco.sem", "modification_indices")
    frame = result.modification_indices()
    largest = frame.sort_values("mi", ascending=False, kind="stable").head(most).reset_index(drop=True)
    shown = largest[_present(largest, "lhs", "op", "rhs", "group", "level", "mi", "epc", "sepc_all")].copy()
    shown = shown.drop(columns=[name for name in _present(shown, "group", "level") if frame[name].nunique() < 2])
    for side in ("lhs", "rhs"):
        shown[side] = [item_label(result, name) for name in shown[side]]
    notes = [f"The {len(shown)} largest of {len(frame)}. Freeing them after the fact makes a model exploratory."]
    source = _without_measures(result)
    return _table(source, shown, "Modification indices", id="coco-modifications", notes=notes, raw=frame)


def residuals(result: Any, most: int = 10) -> GT:
    """The pairs of items whose correlation the model misses most."""
    glanced(having(result, "coco.cfa or coco.sem", "residuals"), "coco.cfa or coco.sem", "chi2", "df")
    frame = _residual_pairs(result.residuals("cor"))
    order = frame["residual"].abs().sort_values(ascending=False, kind="stable").index
    shown = frame.loc[order[:most]].reset_index(drop=True)
    share = float((frame["residual"].abs() > 0.1).mean())
    notes = [f"{100 * share:.0f} % of the {len(frame)} residual correlations exceed .10 in absolute size."]
    for name in ("a", "b"):
        shown[name] = [item_label(result, value) for value in shown[name]]
    shown = shown.rename(columns={"a": "item", "b": "with"})
    table = _table(
        _without_measures(result), shown, "Residual correlations", id="coco-residuals", notes=notes, raw=frame
    )
    return table.fmt(_writer("bounded"), columns="residual")


def _residual_pairs(matrix: pd.DataFrame) -> pd.DataFrame:
    """One row a pair of variables, in every group and level that has a matrix of its own."""
    keys = [key if isinstance(key, tuple) else (key,) for key in matrix.index]
    found = []
    for part in dict.fromkeys(key[:-1] for key in keys):
        names = [key[-1] for key in keys if key[:-1] == part]
        block = matrix.loc[[key[:-1] == part for key in keys], names].to_numpy(dtype=float)
        rows, columns = np.tril_indices(len(names), -1)
        pairs = pd.DataFrame({
            "a": [names[k] for k in rows], "b": [names[k] for k in columns], "residual": block[rows, columns]
        })  # fmt: skip
        if part:
            pairs.insert(0, "group", ", ".join(map(str, part)))
        found.append(pairs)
    return pd.concat(found, ignore_index=True)


def htmt(result: Any) -> GT:
    """Heterotrait–monotrait ratios pair by pair, with their intervals."""
    frame = tidied(result, "coco.htmt", "a", "b", "htmt")
    shown = pd.DataFrame({key: [label(result, name) for name in frame[key]] for key in ("a", "b")})
    shown.columns = pd.Index(["scale", "with"])
    shown["htmt"] = frame["htmt"]
    shown["ci"] = intervals(frame, "lower", "upper", "bounded")
    return _table(result, _without_empty(shown), result.title, id="coco-htmt", raw=frame)


def screening(result: Any) -> GT:
    """Indices of careless answering: what each flags by which cut-off, and how many rows."""
    frame = tidied(result, "screen() (its .screening)", "title", "n_flagged")
    shown = frame[
        _present(frame, "title", "careless", "cutoff", "convention", "n", "n_flagged", "share_flagged", "note")
    ]
    shown = _without_empty(shown.rename(columns={"title": "index"}))
    return _table(
        result, shown, result.title, id="coco-screening", rowname="index", raw=frame, shares=["share_flagged"]
    )


def invariance(result: Any) -> GT:
    """The ladder of equality constraints, step by step, with what each step costs in fit."""
    frame = tidied(result, "coco.invariance", "step")
    columns = _present(
        frame, "step", "chi2", "df", "cfi", "rmsea", "srmr",
        "delta_chi2", "delta_df", "p_value", "delta_cfi", "delta_rmsea", "delta_srmr", "verdict",
    )  # fmt: skip
    table = _table(result, frame[columns], result.title, id="coco-invariance", rowname="step", raw=frame)
    return table.cols_label({"p_value": "p (Δχ²)"}) if "p_value" in columns else table


def regressions(
    *fits: Any, names: Sequence[str] = (), terms: Sequence[str] | None = None, title: str | None = None
) -> GT:
    """Regression models side by side: estimate with its interval, one column a model.

    A single model is shown in full: estimate, error, statistic, df, p, interval, standardised.
    """
    models = _models(fits, names)
    for each in models.values():
        tidied(each, "coco.regress", "term", "est")
    if len(models) == 1:
        (model,) = models.values()
        frame = tidied(model, "coco.regress", "term", "est")
        shown = frame[_present(frame, "term", "est", "se", "statistic", "df", "p_value")].copy()
        shown["term"] = [phrase(model, term) for term in shown["term"]]
        shown["ci"] = intervals(frame, "ci_lower", "ci_upper", "number3")
        shown = shown.join(frame[_present(frame, "est_std")])
        return _table(
            model, _without_empty(shown), title or model.title, id="coco-regression", rowname="term", raw=frame
        )
    columns = {name: _model_column(model) for name, model in models.items()}
    order = list(dict.fromkeys(term for column in columns.values() for term in column))
    order = [term for term in order if terms is None or term in terms]
    first = next(iter(models.values()))
    shown = pd.DataFrame(
        {plain(name): [column.get(term, MISSING) for term in order] for name, column in columns.items()}
    )
    shown.insert(0, "term", [phrase(first, term) for term in order])
    counts = {
        plain(name): WITHHELD if withheld_whole(model) else written(_glanced(model, "n", "n_obs", "nobs"), "count")
        for name, model in models.items()
    }
    shown = pd.concat([shown, pd.DataFrame([{"term": "n", **counts}])], ignore_index=True)
    reasons = {plain(name): withheld_whole(model) for name, model in models.items()}
    refused = [f"{name}: withheld, {reason}." for name, reason in reasons.items() if reason]
    raw = pd.concat([model.tidy().assign(model=name) for name, model in models.items()], ignore_index=True)
    return _table(
        list(models.values()), shown, title or "Regressions", id="coco-regressions", rowname="term", raw=raw,
        notes=["Estimate with its 95 % interval in brackets.", *refused, *_rows_told(models)],
    )  # fmt: skip


def _rows_told(models: Mapping[str, Any]) -> list[str]:
    """A note where models that stand side by side were fitted to different rows."""
    known = {name: model for name, model in models.items() if getattr(model, "fingerprint", None)}
    first = next(iter(known), None)
    apart = {name: rows_apart(known[first], known[name]) for name in known if first is not None}
    others = [name for name, told in apart.items() if told]
    if not others:
        return []
    may = free(getattr(known[others[0]], "provenance", "yours"))  # the rules come with how many they left out
    return [
        f"Not the same rows: {plain(str(first))} and {listed([plain(str(name)) for name in others])}"
        f"{f' {plain(apart[others[0]])}' if may else ''}. Differences between them may be differences between people."
    ]


def _model_column(model: Any) -> dict[str, str]:
    frame = model.tidy()
    spans = intervals(frame, "ci_lower", "ci_upper", "number")
    if withheld_whole(model) is not None:
        return {str(term): WITHHELD for term in frame["term"]}
    if not free(getattr(model, "provenance", "yours")) and hasattr(model, "people_by_row"):
        frame = frame[model.people_by_row() >= current().cell]
        spans = intervals(frame, "ci_lower", "ci_upper", "number")
    return {
        str(term): f"{written(estimate, 'number')} {span}".strip()
        for term, estimate, span in zip(frame["term"], frame["est"], spans)
    }


def verdicts(result: Any, *, label: str | None = None) -> GT:
    """Every hypothesis: what was expected, what came, and the verdict with its reason.

    ``label`` keeps the rows whose label begins so ('confirmatory', 'exploratory', 'gate').
    """
    frame = labelled(tidied(result, "coco.judge", "hypothesis", "verdict", "estimate", "label"), label)
    shown = frame[_present(frame, "hypothesis", "predictor", "outcome", "expected", "verdict", "estimate")].copy()
    for name in _present(shown, "outcome", "predictor"):
        shown[name] = [phrase(result, value) if pd.notna(value) else MISSING for value in shown[name]]
    shown["ci"] = intervals(frame, "ci_lower", "ci_upper", "number")
    shown = shown.join(frame[_present(frame, "p_adjusted", "sesoi", "reason", "label")])
    several = frame["label"].nunique() > 1
    shown = shown if several else shown.drop(columns="label")
    title = "Verdicts" if label is None else f"Verdicts: {label}"
    identity = f"coco-verdicts{'-' + label if label else ''}"
    groups = "label" if several else None
    table = _table(result, shown, title, id=identity, rowname="hypothesis", groupname=groups, raw=frame)
    table = table.fmt(lambda value: written(value, "number"), columns="estimate")
    if "reason" in shown:
        table = table.cols_width({"reason": "32%"})
    table = table.tab_options(table_width="100%", table_font_size="13px", table_layout="auto")
    for verdict, colour in VERDICT_TINTS.items():
        rows = [i for i, value in enumerate(frame["verdict"]) if value == verdict]
        table = table.tab_style(style.fill(color=colour), loc.body(columns="verdict", rows=rows)) if rows else table
    return table


def labelled(frame: pd.DataFrame, label: str | None) -> pd.DataFrame:
    """The rows of a table of verdicts whose label begins so; all of them for None."""
    return frame if label is None else frame[frame["label"].str.startswith(label)].reset_index(drop=True)


VERDICT_TINTS = {
    "supported": "#CFE3F3",
    "contradicted": "#F6D5C3",
    "negligible": "#E6E6E6",
}


def flow(responses: Any) -> GT:
    """The ledger: every row and cell that was changed or left out, by which rule, planned or not."""
    ledger = ledger_of(responses)
    columns = _present(ledger, "step", "rule", "rows", "cells", "count", "n_before", "n_after", "origin")
    shown = ledger[columns].reset_index(drop=True)
    provenance = getattr(responses, "provenance", "yours")
    if free(provenance):
        return _table(responses, shown, "Sample flow", id="coco-flow", raw=ledger)
    shown, hidden = published_ledger(shown)
    table = _table(_Ledger(responses, provenance), shown, "Sample flow", id="coco-flow", raw=shown)
    return _withhold(table, hidden, f"{current().words()}")


class _Ledger:
    """The origin of a table of the ledger: its rows are steps, whose counts `published_ledger` has looked at."""

    def __init__(self, responses: Any, provenance: str):
        self.provenance, self.survey = provenance, getattr(responses, "survey", None)
        self.ledger = getattr(responses, "ledger", None)
        self.settings: dict[str, Any] = {}


def published_ledger(ledger: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    """The ledger of real answers as it may be shown, and the places withheld in it, by column.

    Steps that left few people out are joined with the next one that did; counts of few rows or cells are withheld.
    """
    shown = joined_ledger(ledger)
    cell, hidden = current().cell, {}
    left = shown["n_before"] != shown["n_after"]
    lost = (shown["n_before"] - shown["n_after"]).abs()
    few = left & (lost < cell)
    for name in _present(shown, "rows", "cells", "count"):
        small = (shown[name] > 0) & (shown[name] < cell)
        hidden[name] = [int(row) for row in np.flatnonzero(small | (few & (name == "rows")))]
    if few.any():  # all steps together left few out: what was there before them would tell
        last = int(np.flatnonzero(few)[-1])
        hidden["n_before"] = list(range(last + 1))
        hidden["n_after"] = list(range(int(np.flatnonzero(few)[0])))
    return shown, {name: rows for name, rows in hidden.items() if rows}


def missing(result: Any) -> GT:
    """Missing answers by item and reason."""
    frame = (
        missing_by_reason(result)
        if hasattr(result, "ledger") and hasattr(result, "items")
        else tidied(result, "coco.read_responses or an analysis of missing answers")
    )
    shown = frame.copy()
    shares = [name for name in frame.columns if pd.api.types.is_float_dtype(frame[name].dtype)]
    if "item" in shown:
        shown["item"] = [item_label(result, name) for name in shown["item"]]
    name = "item" if "item" in shown else None
    percent: dict[str, Any] = {"kind": dict.fromkeys(shares, "percent")}
    return _table(
        result, shown, "Missing answers", id="coco-missing", rowname=name, raw=frame, shares=shares, **percent
    )


def missing_by_reason(responses: Any) -> pd.DataFrame:
    """One row an item, one column a reason: the share of all n rows that lack an answer for it."""
    having(responses, "coco.read_responses", "items", "missing", "frame")
    items = list(responses.items(None).columns)
    counts = {item: responses.missing[item].value_counts(normalize=False) for item in items}
    frame = pd.DataFrame(counts).T.fillna(0.0) / max(len(responses.frame), 1)
    frame = frame[sorted((name for name in frame.columns if frame[name].any()), key=str)]
    frame["any reason"] = frame.sum(axis=1)
    frame.insert(0, "n", len(responses.frame))
    return frame.rename_axis(index="item", columns=None).reset_index()


def with_and_without(compared: pd.DataFrame, source: Any = None, *, title: str | None = None) -> GT:
    """The same scores with all responses and without the careless, as `screening.with_and_without` compared them.

    ``source`` is the Responses that were compared. Where few people make the difference, the second sample is withheld.
    """
    maker = "cocoanalysis.responses.screening.with_and_without"
    if not isinstance(compared, pd.DataFrame) or "sample" not in compared:
        raise other(compared, maker, "a table with the column 'sample' is needed")
    samples = list(dict.fromkeys(compared["sample"]))
    key = next(name for name in compared.columns if name != "sample")
    measures = [name for name in compared.columns if name not in ("sample", key)]
    wide = compared.pivot(index=key, columns="sample", values=measures).loc[compared[key].drop_duplicates()]
    short = {sample: "without" if str(sample).startswith("without") else plain(sample) for sample in samples}
    names = {(name, sample): f"{heading(name)}, {short[sample]}" for name, sample in product(measures, samples)}
    shown = pd.DataFrame({names[pair]: wide[pair].to_numpy() for pair in names})
    shown.insert(0, key, [label(source, name) for name in wide.index])
    kinds = {names[pair]: HEADINGS.get(pair[0], ("", "number"))[1] for pair in names}
    told = [f"{plain(sample).capitalize()}." for sample in samples[1:] or samples]
    title = title or "Scores with and without careless answers"
    table = _table(source, shown, title, id="coco-careless", kind=kinds, notes=told)
    few = {names[pair]: [int(i) for i in np.flatnonzero(shown[names[pair]].isna())] for pair in names}
    safe = free(getattr(source, "provenance", "yours"))
    return table if safe else _withhold(table, few, f"differs from the sample of all by {current().words()}")


def icc(result: Any) -> GT:
    """How much people in one cluster agree: ICC(1), ICC(2), and r_wg where it was computed."""
    frame = tidied(result, "coco.icc or coco.rwg")
    if not {"icc1", "rwg"} & set(frame):
        raise other(result, "coco.icc or coco.rwg", "its tidy() has neither a column icc1 nor rwg")
    first = next((name for name in ("variable", "scale", "construct", "item") if name in frame.columns), None)
    columns = [
        "n",
        "n_groups",
        "groups",
        "k",
        "icc1",
        "icc1 95 % CI",
        "icc2",
        "design_effect",
        "f",
        "p_value",
        "rwg",
        "rwg_mean",
        "rwg_median",
    ]
    shown = frame.assign(**{"icc1 95 % CI": intervals(frame, "icc1_lower", "icc1_upper", "bounded3")})
    shown = shown[[*([first] if first else []), *_present(shown, *columns)]] if "icc1" in frame else frame.copy()
    if first:
        shown[first] = [label(result, name) for name in shown[first]]
    table = _table(result, shown, "Agreement within clusters", id="coco-icc", rowname=first, raw=frame)
    return table.cols_label({"icc1 95 % CI": "95 % CI"}) if "icc1 95 % CI" in shown else table


def agreement(*indices: Mapping[str, Any]) -> GT:
    """How far the raters of one group agree, scale by scale: r_wg(j), average deviation, or both beside each other.

    ``indices`` are dicts of scale → result of ``coco.rwg`` or ``coco.average_deviation``.
    """
    maker = "coco.rwg or coco.average_deviation"
    results = [having(result, maker, "table", "index") for index in indices for result in named(index, maker).values()]
    if not results:
        raise ModelError("There is no agreement to show; give at least one result.", code="NothingToShow")
    rows: dict[str, dict[str, Any]] = {}
    titles: dict[str, str] = {}
    for index in indices:
        for name, result in index.items():
            row = rows.setdefault(name, {"scale": label(result, name), "n": int(result.table["size"].sum())})
            row["groups"] = len(result.table)
            for part, word in {"mean": "mean", "median": "median", **WORST[result.index]}.items():
                row[f"{result.index}_{part}"] = result.glance()[part].iloc[0]
                titles[f"{result.index}_{part}"] = f"{AGREEMENT[result.index]}, {word}"
    nulls = dict.fromkeys(str(result.settings["null"]) for result in results if "null" in result.settings)
    notes = [f"r_wg(j) against a {null} null distribution. People with a missing item are left out." for null in nulls]
    kept = SimpleNamespace(provenance=origin_of(results, "").provenance, ledger=getattr(results[0], "ledger", None))
    shown = pd.DataFrame(list(rows.values()))
    kind = {name: "bounded" for name in titles if name.startswith("rwg_")}
    table = _table(kept, shown, "Agreement among raters", id="coco-agreement", rowname="scale", notes=notes, kind=kind)
    return table.cols_label({**titles})


AGREEMENT = {"rwg": "r_wg(j)", "ad": "AD"}
WORST = {"rwg": {"minimum": "lowest"}, "ad": {"maximum": "highest"}}

# --- parts -----------------------------------------------------------------------------------


def interval(lower: Any, upper: Any, kind: str) -> str:
    """'[.12, .34]', or nothing when a bound is missing."""
    bounds = written(lower, kind), written(upper, kind)
    return f"[{bounds[0]},\u00a0{bounds[1]}]" if all(bounds) else MISSING


def intervals(frame: pd.DataFrame, lower: str, upper: str, kind: str) -> list[str]:
    """An interval a row; empty text where the frame has no such bounds."""
    if lower not in frame or upper not in frame:
        return [MISSING] * len(frame)
    return [interval(low, high, kind) for low, high in zip(frame[lower], frame[upper])]


def _table(
    result: Any,
    frame: pd.DataFrame,
    title: str,
    *,
    id: str,
    rowname: str | None = None,
    groupname: str | None = None,
    notes: Iterable[str] = (),
    raw: pd.DataFrame | None = None,
    shares: Sequence[str] = (),
    kind: Mapping[str, str] | None = None,
) -> GT:
    """The one place where a frame becomes a table: headings, number formats, notes, origin.

    Of real answers that are not public, cells that rest on too few people are withheld, in the table
    and in the numbers behind it; ``shares`` names the columns that are shares of the column n, ``kind``
    says of single columns how they are written, where HEADINGS does not.
    """
    origin = origin_of(result, plain(title), frame if raw is None else raw)
    frame = frame.reset_index(drop=True).rename(columns=str)
    shares = [*shares, *(name for name in getattr(result, "shares", ()) if name in frame and name not in shares)]
    facts = _facts(result, frame, origin.frame, origin.rules)
    safe = _safe(frame, origin.rules, shares, facts, result)
    behind, gone = _behind(origin, frame, facts, shares, result)
    keys = _keys(safe.table, rowname, origin.title, result)
    counted = _counted(origin, safe, facts, keys, result)
    frame = safe.tidy().copy()
    kinds = {name: kind_of(name, frame[name]) for name in frame.columns} | dict(kind or {})
    for name, each in kinds.items():
        if each == "text":
            frame[name] = pd.Series([written(value, "text") for value in frame[name]], dtype=object)
    table: GT = Table(frame, id=id, rowname_col=rowname, groupname_col=groupname).tab_header(plain(title))
    for each in sorted(set(kinds.values()) - {"text"}):
        columns = [name for name, k in kinds.items() if k == each and name not in {rowname, groupname}]
        table = table.fmt(_writer(each), columns=columns) if columns else table
    table = table.cols_label({name: heading(name) for name in frame.columns if name not in {rowname, groupname}})
    for side, wanted in (("right", False), ("left", True)):
        columns = [name for name, k in kinds.items() if (k == "text") is wanted and name not in {rowname, groupname}]
        table = table.cols_align(side, columns=columns) if columns else table
    for column in safe.withheld["column"].unique():
        hidden = [int(row) for row in safe.withheld.loc[safe.withheld["column"] == column, "row"]]
        table = table.fmt(lambda _value: WITHHELD, columns=str(column), rows=hidden)
    withheld = safe.notes() if len(safe.withheld) else []
    told = dict.fromkeys((*origin.notes, *notes, *withheld))
    numbers = tuple(name for name in frame.columns if kinds[name] != "text" or _interval_column(safe.table[name]))
    trace: dict[str, Any] = {"counted": counted, "keys": keys, "hidden": numbers, "columns": tuple(frame.columns)}
    origin = replace(origin, notes=tuple(told), frame=behind, gone=gone, **trace)
    for note in origin.notes:
        table = table.tab_source_note(plain(note))
    return remember(_dressed(table), origin)


FACTS = ("people behind", "share of the largest cluster", "residual df")  # columns beside the table's own


def _facts(result: Any, frame: pd.DataFrame, raw: pd.DataFrame | None, provenance: str) -> pd.DataFrame | None:
    """For each row the people behind it, its largest cluster's share and its residual degrees of freedom, if known."""
    if free(provenance):
        return None
    rows = len(frame)
    aligned = raw if raw is not None and len(raw) == rows else frame
    columns = [np.full(rows, np.nan) for _ in FACTS]
    whole = [people(one) for one in (result if isinstance(result, (list, tuple)) else [result])]
    for place, numbers in ((0, [n for n, _ in whole]), (2, [df for _, df in whole])):
        known = [value for value in numbers if value is not None]
        columns[place] = np.full(rows, min(known)) if known and len(known) == len(whole) else columns[place]
    own = next((table[name] for table in (frame, aligned) if (name := _counter(table))), None)
    groups = next((found for table in (frame, aligned) if (found := group_facts(result, table)) is not None), None)
    if groups is not None:
        columns[:2] = groups["n"].to_numpy(), groups["largest"].to_numpy()
    by_row = getattr(result, "people_by_row", None)
    if callable(by_row) and len(by_row()) == rows:
        columns[0] = by_row()
    if own is not None:
        columns[0] = own.to_numpy(dtype=float, na_value=np.nan)
    facts = pd.DataFrame(dict(zip(FACTS, columns)))
    facts.attrs["partition"] = groups is not None and bool(groups["whole"].all())
    return facts


def _counter(frame: pd.DataFrame) -> str | None:
    """The column that counts the people of each row."""
    names = ("n", "size", "n_obs", "people")
    return next((name for name in names if name in frame and pd.api.types.is_numeric_dtype(frame[name].dtype)), None)


def _safe(
    frame: pd.DataFrame, provenance: str, shares: Sequence[str], facts: pd.DataFrame | None, result: Any
) -> SafeTable:
    """The frame as it may be shown, by the people behind each row."""
    if facts is None:
        return safe_table(frame, provenance=provenance, counts=())
    beside = facts.loc[:, facts.notna().any()]
    beside = beside.fillna({FACTS[1]: 0.0, FACTS[2]: np.inf})
    n, largest = (name if name in beside else None for name in FACTS[:2])
    own = [name for name in (_counter(frame),) if name]
    found = safe_table(
        pd.concat([frame, beside.rename(columns={FACTS[2]: "residual_df"})], axis=1),
        provenance=provenance,
        counts=[*([n] if n else []), *own],
        shares=[name for name in shares if (n or own) and name in frame],
        largest=largest,
        names=[name for name in frame.columns if _identifies(name, frame[name], result)],
        total=bool(facts.attrs.get("partition")),
    )
    withheld = found.withheld[found.withheld["column"].isin(frame.columns)]
    return replace(found, table=found.table[frame.columns], withheld=withheld.drop_duplicates(["row", "column"]))


def _identifies(name: Any, column: pd.Series, result: Any) -> bool:
    """Whether a text column names people, clusters or organisations, or words of their own."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    if name == "term" and hasattr(result, "people_by_row"):
        return bool((result.people_by_row() < current().cell).any() and withheld_whole(result) is None)
    survey = getattr(result, "survey", None)
    background = getattr(survey, "background", {})
    known = {
        str(label) for question in background.values() for label in (question.labels("en") or {}) if question.categories
    }
    identifiers = {getattr(survey, kind, None) for kind in ("respondent", "cluster", "collaboration", "organisation")}
    if name in identifiers or (name in background and background[name].kind not in ("categorical", "numeric")):
        return True
    return name == "group" and not set(column.dropna().astype(str)) <= known


def _behind(
    origin: Origin, frame: pd.DataFrame, facts: pd.DataFrame | None, shares: Sequence[str], result: Any
) -> tuple[pd.DataFrame | None, frozenset[tuple[int, str]]]:
    """The numbers behind a table as they may be given away, and which cells of them are withheld."""
    raw = origin.frame
    if raw is None or facts is None:
        return raw, frozenset()
    if len(raw) != len(frame):
        same = len(facts) and _alike(facts)
        facts = facts.iloc[np.zeros(len(raw), dtype=int)].reset_index(drop=True) if same else _own_facts(raw)
    safe = _safe(raw.reset_index(drop=True), origin.rules, shares, facts, result)
    gone = frozenset((int(row), str(column)) for row, column in safe.withheld[["row", "column"]].to_numpy())
    return safe.tidy().set_axis(raw.index), gone


def _own_facts(frame: pd.DataFrame) -> pd.DataFrame:
    """What a table says itself of the people behind its rows."""
    facts = pd.DataFrame(np.nan, index=range(len(frame)), columns=list(FACTS))
    name = _counter(frame)
    return facts if name is None else facts.assign(**{FACTS[0]: frame[name].to_numpy(dtype=float, na_value=np.nan)})


def _alike(facts: pd.DataFrame) -> bool:
    return bool((facts.nunique(dropna=False) == 1).all())


def _interval_column(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    return bool(column.astype(str).str.match(WRITTEN).any())


def _withhold(table: GT, hidden: Mapping[str, Sequence[int]], reason: str) -> GT:
    """The table with further cells withheld, also in the numbers behind it, and a note that says why."""
    origin = getattr(table, ATTRIBUTE)
    if not any(len(rows) for rows in hidden.values()):
        return table
    behind = origin.frame
    for name, rows in hidden.items():
        if name in origin.columns and len(rows):
            table = table.fmt(lambda _value: WITHHELD, columns=name, rows=[int(row) for row in rows])
    gone = origin.gone
    if behind is not None:
        behind, gone = _blanked(behind, gone, hidden, len(origin.keys))
    note = f"Withheld: {reason}."
    if note not in origin.notes:
        table = table.tab_source_note(plain(note))
    return remember(table, replace(origin, notes=(*origin.notes, note), frame=behind, gone=gone))


def _blanked(
    frame: pd.DataFrame, gone: frozenset[tuple[int, str]], hidden: Mapping[str, Sequence[int]], rows: int
) -> tuple[pd.DataFrame | None, frozenset[tuple[int, str]]]:
    """The numbers behind a table without what is withheld; None where they are not row by row those of the table."""
    if len(frame) != rows:
        return None, frozenset()
    every = set.intersection(*(set(places) for places in hidden.values())) if hidden else set()
    blank, cells = frame.copy(), set(gone)
    for name in frame.columns:
        number = pd.api.types.is_numeric_dtype(frame[name].dtype)
        places = sorted({*hidden.get(str(name), ()), *(every if number else ())})
        if places:
            keep = np.ones(rows, dtype=bool)
            keep[places] = False
            blank[name] = blank[name].astype("Float64" if number else object).where(keep)
            cells |= {(place, str(name)) for place in places}
    return blank, frozenset(cells)


def withheld_rows(table: GT, reasons: Mapping[str, str]) -> GT:
    """The table without the numbers of some rows, which are named as in its trace, each with its reason."""
    origin = getattr(table, ATTRIBUTE)
    for reason in dict.fromkeys(reasons.values()):
        rows = [place for place, key in enumerate(origin.keys) if reasons.get(key) == reason]
        table = _withhold(table, dict.fromkeys(origin.hidden, rows), reason)
    origin = getattr(table, ATTRIBUTE)
    left = {key: n for key, n in origin.counted.rows.items() if key not in reasons}
    return remember(table, replace(origin, counted=replace(origin.counted, rows=left)))


def _keys(frame: pd.DataFrame, rowname: str | None, title: str, result: Any) -> tuple[str, ...]:
    """The name of each row: its first texts, and of what model (or table) they are where the rows are not counted."""
    texts = _texts(frame)
    columns = [rowname] if rowname in frame.columns else texts[:2]
    whole = str(getattr(result, "formula", "") or "") or ("" if _counter(frame) else title)
    first = [whole] if whole else []
    return tuple("; ".join([*first, *map(str, row)]) for row in frame[columns].to_numpy())


def _texts(frame: pd.DataFrame) -> list[str]:
    found = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name].dtype)]
    return [name for name in found if not _interval_column(frame[name])]


def _counted(
    origin: Origin, safe: SafeTable, facts: pd.DataFrame | None, keys: Sequence[str], result: Any
) -> Counted | None:
    """The trace of a table: how many people are behind each of its rows that shows a number."""
    if facts is None or not facts[FACTS[0]].notna().any():
        return None
    hidden = set(safe.withheld["row"])
    shown = {name: n for row, (name, n) in enumerate(zip(keys, facts[FACTS[0]])) if row not in hidden and n == n}
    texts = _texts(safe.table)
    numbers = [str(name) for name in safe.table.columns if name not in texts and str(name) not in COUNTS]
    first = result[0] if isinstance(result, (list, tuple)) and result else result
    return Counted(shown, frozenset(numbers), sample_of(getattr(first, "ledger", None)), origin.title)


def _writer(kind: str) -> Callable[[Any], str]:
    return lambda value: written(value, kind)


def _dressed(table: GT) -> GT:
    """Three rules, no stripes: the look of a printed table."""
    return table.tab_options(
        table_font_size="14px",
        heading_title_font_size="15px",
        heading_title_font_weight="bold",
        heading_align="left",
        data_row_padding="4px",
        source_notes_font_size="12px",
        column_labels_font_weight="bold",
        table_body_hlines_style="none",
        stub_border_style="none",
        table_border_top_color="#333333",
        table_border_bottom_color="#333333",
    )


def _models(fits: tuple[Any, ...], names: Sequence[str]) -> dict[str, Any]:
    """Fits by name, given one by one, as a list or as a dict."""
    if len(fits) == 1 and isinstance(fits[0], Mapping):
        return dict(fits[0])
    models = list(fits[0]) if len(fits) == 1 and isinstance(fits[0], (list, tuple)) else list(fits)
    if not models:
        raise ModelError("There is no model to show; give at least one result.", code="NothingToShow")
    if names and len(names) != len(models):
        raise ModelError(
            f"There are {len(models)} models but {len(names)} names ({listed(names)}); give one name a model.",
            code="NamesDoNotFit",
        )
    titles = list(names) or [str(getattr(model, "name", None) or getattr(model, "title", "Model")) for model in models]
    if len(set(titles)) < len(titles):
        titles = [f"{title} ({i + 1})" for i, title in enumerate(titles)]
    return dict(zip(titles, models))


def _faults(model: Any) -> str:
    """Why a fit may not be used, in its own words."""
    found = [d for d in getattr(model, "diagnostics", ()) if getattr(d, "severity", "error") == "error"]
    return "; ".join(f"{d.code}: {d.reason}" for d in found)


def _glanced(model: Any, *names: str) -> Any:
    row = model.glance().iloc[0]
    return next((row[name] for name in names if name in row.index), None)


def _item_frame(result: Any) -> pd.DataFrame:
    if callable(getattr(result, "item_table", None)):
        return result.item_table()
    return tidied(result, "coco.item_analysis or coco.reliability", "item", "mean")


def _matrix(result: Any) -> pd.DataFrame:
    for name in ("correlations", "factor_correlations", "matrix"):
        if isinstance(getattr(result, name, None), pd.DataFrame):
            return getattr(result, name)
    raise ModelError(
        f"A {type(result).__name__} has no correlation matrix; give a DataFrame or a result with '.correlations'.",
        code="NoMatrix",
    )


def _present(frame: pd.DataFrame, *names: str) -> list[str]:
    return [name for name in names if name in frame.columns]


def _without_empty(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns in which nothing stands are not shown."""
    empty = [name for name in frame.columns if frame[name].isna().all() or (frame[name].astype(str) == MISSING).all()]
    return frame.drop(columns=empty)
