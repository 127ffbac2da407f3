"""The parameter table: one row a parameter, the centre of the measurement room.

`build` takes the terms that the user wrote and adds what lavaan adds by itself (variances,
covariances of exogenous factors, the first loading fixed to 1, thresholds, intercepts, …),
once a group and level, and ties rows whose labels agree. Everything later (fitting,
constraints, invariance, summaries) reads this table.

`free` is the row's place in the vector of free parameters, or -1; tied rows share a place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from cocoanalysis.errors import ModelError, listed, one_of, suggestion
from cocoanalysis.measurement.expressions import Dual
from cocoanalysis.measurement.syntax import Constraint, Model, Term, fault

NAN = float("nan")
GROUP_EQUAL = (
    "loadings",
    "intercepts",
    "means",
    "thresholds",
    "regressions",
    "residuals",
    "residual_covariances",
    "lv_variances",
    "lv_covariances",
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row: which parameter, where, and whether it is estimated."""

    lhs: str
    op: str
    rhs: str
    group: int = 1
    level: int = 1
    user: bool = False
    free: int = -1
    value: float = NAN  # the value of a fixed row
    start: float = NAN  # the user's starting value
    label: str = ""
    exogenous: bool = False  # a moment of a fixed covariate: taken from the sample
    term: Term | None = None

    @property
    def name(self) -> str:
        return f"{self.lhs}{self.op}{self.rhs}"

    def __str__(self) -> str:
        return f"{self.lhs} ~ 1" if self.op == "~1" else f"{self.lhs} {self.op} {self.rhs}"


@dataclass(frozen=True)
class Options:
    """What `build` needs to know besides the terms."""

    n_groups: int = 1
    meanstructure: bool = False
    fixed_x: bool = True
    conditional_x: bool = False
    parameterization: str = "delta"
    std_lv: bool = False
    orthogonal: bool = False
    group_equal: tuple[str, ...] = ()
    group_partial: tuple[str, ...] = ()
    levels: Mapping[str, int] = field(default_factory=dict)  # ordered variable → number of categories
    group_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Names:
    """The variables of one block of terms, by their part in the model (lavaan's vnames)."""

    latent: tuple[str, ...]
    observed: tuple[str, ...]
    exogenous: tuple[str, ...]  # observed, only ever on the right of '~'
    latent_x: tuple[str, ...]
    outcomes: tuple[str, ...]  # explained and explaining nothing: their residuals covary

    @property
    def endogenous(self) -> list[str]:
        return [name for name in self.observed if name not in self.exogenous]


def classify(terms: Sequence[Term], everywhere: Sequence[Term] | None = None) -> Names:
    """Sort the variables of the terms; ``everywhere`` holds the terms of all levels."""
    latent = _unique(t.lhs for t in terms if t.op == "=~")
    indicators = _unique(t.rhs for t in terms if t.op == "=~" and t.rhs)
    explained = _unique(t.lhs for t in terms if t.op == "~")
    explaining = _unique(t.rhs for t in terms if t.op == "~")
    known = set(latent)
    ov_ind = [n for n in indicators if n not in known]
    ov_y = [n for n in explained if n not in known and n not in ov_ind]
    explained_somewhere = set(ov_y) | {t.lhs for t in everywhere or () if t.op == "~"}
    ov_x = [n for n in explaining if n not in known and n not in ov_ind and n not in explained_somewhere]
    named = [n for t in terms if t.op == "~~" for n in (t.lhs,)]
    named += [n for t in terms if t.op == "~~" for n in (t.rhs,)]
    named += [t.lhs for t in terms if t.op in ("~1", "|", "~*~")]
    observed = _unique([*ov_ind, *ov_y, *ov_x, *(n for n in named if n not in known)])
    random = {n for t in terms if t.op in ("~~", "~1") for n in (t.lhs, t.rhs)}
    inner = {*indicators, *explained}
    ends = {*indicators, *explaining}
    outcomes = [n for n in [*latent, *observed] if n in explained and n not in ends]
    return Names(
        tuple(latent),
        tuple(observed),
        tuple(n for n in ov_x if n not in random),
        tuple(n for n in latent if n not in inner),
        tuple(outcomes),
    )


@dataclass(frozen=True)
class ParameterTable:
    """The rows, the constraints between them, and the variables of each (group, level) block."""

    rows: tuple[Parameter, ...]
    constraints: tuple[Constraint, ...]
    options: Options
    names: Mapping[tuple[int, int], Names]
    n_free: int

    @property
    def free_rows(self) -> list[int]:
        """For each free parameter the first row that carries it."""
        first: dict[int, int] = {}
        for i, row in enumerate(self.rows):
            if row.free >= 0:
                first.setdefault(row.free, i)
        return [first[k] for k in range(self.n_free)]

    @property
    def definitions(self) -> list[Constraint]:
        return [c for c in self.constraints if c.op == ":="]

    @property
    def equalities(self) -> list[Constraint]:
        return [c for c in self.constraints if c.op == "=="]

    @property
    def inequalities(self) -> list[Constraint]:
        return [c for c in self.constraints if c.op in ("<", ">")]

    def group_label(self, group: int) -> str:
        labels = self.options.group_labels
        return labels[group - 1] if labels and group > 0 else ""

    def values(self, theta: np.ndarray) -> np.ndarray:
        """One value a row: free rows from ``theta``, fixed rows as they are."""
        fixed = np.array([row.value for row in self.rows])
        place = np.array([row.free for row in self.rows], dtype=int)
        return np.where(place >= 0, np.asarray(theta)[np.maximum(place, 0)] if self.n_free else 0.0, fixed)

    def scope(self, theta: np.ndarray, slopes: bool = True) -> dict[str, Dual]:
        """Labels (and row names .p1. …) with their values and gradients, definitions included."""
        names: dict[str, Dual] = {}
        eye = np.eye(self.n_free)
        for i, row in enumerate(self.rows):
            if row.free >= 0:
                dual = Dual(theta[row.free], eye[row.free] if slopes else 0.0)
            else:
                dual = Dual(row.value, np.zeros(self.n_free) if slopes else 0.0)
            if row.label:
                names.setdefault(row.label, dual)
            names[f".p{i + 1}."] = dual
        waiting = list(self.definitions)
        while waiting:
            ready = [c for c in waiting if all(n in names for n in c.right.names)]
            for definition in ready:
                names[definition.lhs] = definition.right.dual(names)
            waiting = [c for c in waiting if c not in ready]
        return names

    def frame(self) -> pd.DataFrame:
        """The table for reading: one row a parameter, then the constraints."""
        rows = [
            {
                "lhs": r.lhs,
                "op": r.op,
                "rhs": r.rhs,
                "group": self.group_label(r.group),
                "level": r.level,
                "free": r.free + 1,
                "label": r.label,
                "value": r.value,
            }
            for r in self.rows
        ]
        return pd.DataFrame(rows)

    def syntax(self) -> str:
        """The table as lavaan syntax that says everything itself (no automatic rows are needed)."""
        lines = []
        levels = sorted({row.level for row in self.rows})
        for level in levels:
            if len(levels) > 1:
                lines.append(f"level: {level}")
            first = [r for r in self.rows if r.level == level and not r.exogenous]
            keys = _unique((r.lhs, r.op, r.rhs) for r in first)
            by_key: dict[tuple, list[Parameter]] = {key: [] for key in keys}
            for row in first:
                by_key[row.lhs, row.op, row.rhs].append(row)
            lines += [self._line(rows) for rows in by_key.values()]
        lines += [f"{c.lhs} {c.op} {c.rhs}" for c in self.constraints]
        return "\n".join(line for line in lines if line)

    def _line(self, rows: Sequence[Parameter]) -> str:
        shared = {r.free for r in self.rows if r.free >= 0 and sum(q.free == r.free for q in rows) > 1}
        values = ["NA" if r.free >= 0 else f"{r.value:.12g}" for r in rows]
        labels = [r.label or (f"tied{r.free + 1}" if r.free in shared or self._tied(r) else "") for r in rows]
        parts = [_c(values)]
        if any(labels):
            parts.append(_c([label or f"p{r.free + 1}" if r.free >= 0 else "NA" for r, label in zip(rows, labels)]))
        target = "1" if rows[0].op == "~1" else rows[0].rhs
        op = "~" if rows[0].op == "~1" else rows[0].op
        return f"{rows[0].lhs} {op} " + " + ".join(f"{part}*{target}" for part in parts)

    def _tied(self, row: Parameter) -> bool:
        return row.free >= 0 and sum(other.free == row.free for other in self.rows) > 1

    def with_rows(self, rows: Iterable[Parameter]) -> ParameterTable:
        """The same table with other rows; free places are given anew in the order of the rows."""
        places: dict[int, int] = {}
        new = []
        for row in rows:
            new.append(replace(row, free=places.setdefault(row.free, len(places))) if row.free >= 0 else row)
        return replace(self, rows=tuple(new), n_free=len(places))


def build(model: Model, options: Options) -> ParameterTable:
    """Parameter table of a model: the user's rows first, then the automatic ones, group by group.

    Raises
    ------
    ModelError : WrongNumberOfModifiers, UnknownLabel, UnknownGroupEqual, NoEffect, UnknownThreshold
    """
    drafts: list[dict] = []
    names: dict[tuple[int, int], Names] = {}
    for group in range(1, options.n_groups + 1):
        for number, level in enumerate(model.level_blocks, start=1):
            terms = [t for t in model.terms if t.level == level and _in_group(t, group, options)]
            names[group, number] = classify(terms, model.terms if number > 1 else None)
            drafts += _block(terms, names[group, number], options, group, number)
    _within_means(drafts, names)
    _set_labels(drafts, names, options)
    rows, n_free = _tie(drafts)
    table = ParameterTable(rows, model.constraints, options, names, n_free)
    _check_constraints(table)
    return table


def _in_group(term: Term, group: int, options: Options) -> bool:
    label = options.group_labels[group - 1] if options.group_labels else ""
    return term.group is None or term.group in (label, str(group))


def _block(terms: Sequence[Term], names: Names, options: Options, group: int, level: int) -> list[dict]:
    """The rows of one group and level, with lavaan's rules for what is free."""
    meanstructure = options.meanstructure or any(t.op == "~1" for t in terms)
    rows = [_row(t.lhs, t.op, t.rhs, group, level, term=t) for t in terms if t.op != "=~" or t.rhs]
    present = {t.key[:3] for t in terms}
    for lhs, op, rhs in _automatic(names, options, meanstructure):
        key = (*sorted((lhs, rhs)), op) if op == "~~" else (lhs, rhs, op)
        if (key[0], op, key[1]) not in present:
            rows.append(_row(lhs, op, rhs, group, level))
    _free_rules(rows, names, options, group)
    if group > 1:
        _later_group_rules(rows, names, options)
    for row in rows:
        if row["term"] is not None:
            _modify(row, row["term"], group, options.n_groups)
    return rows


def _row(lhs: str, op: str, rhs: str, group: int, level: int, term: Term | None = None) -> dict:
    return {
        "lhs": lhs, "op": op, "rhs": rhs, "group": group, "level": level, "term": term, "user": term is not None,
        "is_free": True, "value": NAN, "start": NAN, "label": "", "exogenous": False,
    }  # fmt: skip


def _automatic(names: Names, options: Options, meanstructure: bool) -> list[tuple[str, str, str]]:
    ordered = [n for n in names.observed if n in options.levels and n not in names.exogenous]
    rows = [(n, "|", f"t{k}") for n in ordered for k in range(1, options.levels[n])]
    rows += [(n, "~~", n) for n in [*names.endogenous, *names.latent]]
    rows += [(a, "~~", b) for a, b in _pairs(names.latent_x)]
    rows += [(a, "~~", b) for a, b in _pairs(names.outcomes)]
    x = names.exogenous
    rows += [(x[i], "~~", x[j]) for i in range(len(x)) for j in range(i, len(x))]
    rows += [(n, "~*~", n) for n in ordered]
    if meanstructure:
        rows += [(n, "~1", "") for n in [*names.observed, *names.latent]]
    return rows


def _free_rules(rows: list[dict], names: Names, options: Options, group: int) -> None:
    latent, exogenous = set(names.latent), set(names.exogenous)
    first: set[str] = set()
    loadings = [r for r in rows if r["op"] == "=~"]
    counts: dict[str, int] = {}
    for row in loadings:
        counts[row["rhs"]] = counts.get(row["rhs"], 0) + 1
    sizes = {n: sum(r["lhs"] == n for r in loadings) for n in names.latent}
    single = {r["rhs"] for r in loadings if sizes[r["lhs"]] == 1 and counts[r["rhs"]] == 1}
    for row in rows:
        lhs, op, rhs, auto = row["lhs"], row["op"], row["rhs"], not row["user"]
        diagonal = op == "~~" and lhs == rhs
        if op == "=~" and not options.std_lv and lhs not in first:
            first.add(lhs)
            _fix(row, 1.0)
        elif diagonal and options.std_lv and lhs in latent:
            _fix(row, 1.0)
        elif (
            (diagonal and auto and lhs in single)
            or (op == "~~" and auto and options.orthogonal and lhs in latent and rhs in latent and lhs != rhs)
            or (op == "~1" and auto and (lhs in latent or lhs in options.levels))
        ):
            _fix(row, 0.0)
        if diagonal and auto and lhs in options.levels and lhs not in exogenous:
            _fix(row, 1.0)
        if op == "~*~" and auto:
            _fix(row, 1.0)
        if auto and lhs in exogenous and op in ("~~", "~1") and (options.fixed_x or options.conditional_x):
            _fix(row, NAN)
            row["exogenous"] = True


def _within_means(drafts: list[dict], names: Mapping[tuple[int, int], Names]) -> None:
    """Means of variables that also live between clusters belong there; within clusters they are zero."""
    if all(level == 1 for _, level in names):
        return
    for row in drafts:
        above = [n for (group, level), n in names.items() if group == row["group"] and level > 1]
        if row["op"] == "~1" and row["level"] == 1 and any(row["lhs"] in n.observed for n in above):
            _fix(row, 0.0)


def _later_group_rules(rows: list[dict], names: Names, options: Options) -> None:
    """Equal intercepts or thresholds free the later groups' latent means; equal loadings their variances."""
    equal, latent = set(options.group_equal), set(names.latent)
    for row in rows:
        lhs, op, auto = row["lhs"], row["op"], not row["user"]
        if op == "~1" and auto and lhs in latent and equal & {"intercepts", "thresholds"} and "means" not in equal:
            _release(row)
        diagonal = op == "~~" and lhs == row["rhs"]
        scaled = options.std_lv and "loadings" in equal and "lv_variances" not in equal
        if scaled and diagonal and auto and lhs in latent:
            _release(row)
        if "thresholds" in equal and op == "~*~" and options.parameterization == "delta":
            _release(row)
        if "thresholds" in equal and diagonal and lhs in options.levels and options.parameterization == "theta":
            _release(row)


def _fix(row: dict, value: float) -> None:
    row["is_free"], row["value"] = False, value


def _release(row: dict) -> None:
    row["is_free"], row["value"] = True, NAN


def _modify(row: dict, term: Term, group: int, n_groups: int) -> None:
    """Apply the user's modifiers: a fixed value, NA, a starting value, a label."""
    fixed = _of_group(term.fixed, group, n_groups, term)
    if fixed is not None:
        row["is_free"], row["value"] = math.isnan(fixed), fixed
    start = _of_group(term.start, group, n_groups, term)
    if start is not None:
        row["start"] = start
    label = _of_group(term.equal, group, n_groups, term) or _of_group(term.labels, group, n_groups, term)
    if label:
        row["label"] = label


def _of_group(values: Sequence, group: int, n_groups: int, term: Term):
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    if term.group is None and len(values) != n_groups:
        raise fault(
            f"'{term}' has {len(values)} values in c(), but the number of groups is {n_groups}",
            term.line,
            term.column,
            "WrongNumberOfModifiers",
        )
    return values[group - 1]


def _set_labels(drafts: list[dict], names: Mapping[tuple[int, int], Names], options: Options) -> None:
    """Give every row the key by which rows are tied: its label, or its own name, or that of group 1."""
    released = _partial(drafts, options)
    for row in drafts:
        key = f"{row['lhs']}{row['op']}{row['rhs']}" + (f".l{row['level']}" if row["level"] > 1 else "")
        equal = options.group_equal
        tied = bool(equal) and _kind(row, names[row["group"], row["level"]], options) in equal and key not in released
        row["key"] = row["label"] or (key if row["group"] == 1 or tied else f"{key}.g{row['group']}")


def _kind(row: dict, names: Names, options: Options) -> str:
    lhs, op, rhs = row["lhs"], row["op"], row["rhs"]
    latent, endogenous = lhs in names.latent, lhs in names.observed and lhs not in names.exogenous
    if op == "~~":
        stem = "lv_variances" if lhs == rhs else "lv_covariances"
        other = "residuals" if lhs == rhs else "residual_covariances"
        return stem if latent else other if endogenous else ""
    if op == "~1":
        return "means" if latent else "intercepts" if endogenous else ""
    return {"=~": "loadings", "|": "thresholds", "~": "regressions"}.get(op, "")


def _partial(drafts: Sequence[dict], options: Options) -> set[str]:
    """Names of rows that group_partial releases; a name that releases nothing is an error."""
    if not options.group_partial:
        return set()
    known = {f"{r['lhs']}{r['op']}{r['rhs']}" for r in drafts}
    released = set()
    for text in options.group_partial:
        name = "".join(text.split())
        name = name[:-2] + "~1" if name.endswith("~1") else name
        swapped = "~~".join(reversed(name.split("~~"))) if "~~" in name else name
        found = {n for n in (name, swapped) if n in known}
        if not found:
            raise ModelError(
                f"group_partial names '{text}', which is no parameter of the model.{suggestion(name, known)}",
                code="NoEffect",
            )
        released |= found
    return released


def _tie(drafts: Sequence[dict]) -> tuple[tuple[Parameter, ...], int]:
    """Rows with one free place a key; a fixed row fixes all that share its key."""
    by_key: dict[str, list[dict]] = {}
    for row in drafts:
        by_key.setdefault(row["key"], []).append(row)
    for rows in by_key.values():
        fixed = [r for r in rows if not r["is_free"]]
        if len(rows) > 1 and fixed and not fixed[0]["exogenous"]:
            for row in rows:
                _fix(row, fixed[0]["value"])
    places: dict[str, int] = {}
    built = []
    for r in drafts:
        free = places.setdefault(r["key"], len(places)) if r["is_free"] else -1
        built.append(
            Parameter(
                r["lhs"], r["op"], r["rhs"], r["group"], r["level"], r["user"], free, r["value"], r["start"],
                r["label"], r["exogenous"], r["term"],
            )
        )  # fmt: skip
    return tuple(built), len(places)


def _check_constraints(table: ParameterTable) -> None:
    """Every name in a constraint is a label, a row name or a definition; no definition hides a label."""
    labels = {row.label for row in table.rows if row.label}
    defined = {c.lhs for c in table.definitions}
    known = labels | defined | {f".p{i + 1}." for i in range(len(table.rows))}
    for c in table.constraints:
        if c.op == ":=" and (c.lhs in labels or sum(d.lhs == c.lhs for d in table.definitions) > 1):
            raise fault(f"'{c.lhs}' is already a label; choose another name", c.line, c.column, "DuplicateLabel")
        for name in [*(c.left.names if c.op != ":=" else []), *c.right.names]:
            if name not in known:
                raise fault(
                    f"'{name}' in '{c.lhs} {c.op} {c.rhs}' is no label of a parameter.{suggestion(name, known)} "
                    f"Labels are {listed(sorted(labels | defined)) or 'not given yet'}",
                    c.line,
                    c.column,
                    "UnknownLabel",
                )
        if c.op != ":=" and not [n for side in (c.left, c.right) for n in side.names]:
            raise fault(f"'{c.lhs} {c.op} {c.rhs}' holds no parameter", c.line, c.column, "NoEffect")
    _check_circle(table)


def _check_circle(table: ParameterTable) -> None:
    known = {row.label for row in table.rows} | {f".p{i + 1}." for i in range(len(table.rows))}
    waiting = list(table.definitions)
    while waiting:
        ready = [c for c in waiting if all(n in known for n in c.right.names)]
        if not ready:
            c = waiting[0]
            raise fault(f"The definition of '{c.lhs}' goes in a circle", c.line, c.column, "CircularDefinition")
        known |= {c.lhs for c in ready}
        waiting = [c for c in waiting if c not in ready]


def checked_group_equal(names: str | Iterable[str]) -> tuple[str, ...]:
    """The kinds of parameters to hold equal, dots as in lavaan allowed; thresholds go with intercepts."""
    words = [names] if isinstance(names, str) else list(names)
    return tuple(
        one_of(word.replace(".", "_"), GROUP_EQUAL, "kind of parameter in group_equal", code="UnknownGroupEqual")
        for word in words
    )


def _unique(items: Iterable) -> list:
    return list(dict.fromkeys(items))


def _c(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 and len(values) == 1 else f"c({', '.join(values)})"


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(names[i], names[j]) for i in range(len(names)) for j in range(i + 1, len(names))]
