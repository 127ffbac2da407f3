"""Do the items measure the same in every group? The ladder of equality constraints in one call.

Each step is an edit of the parameter table of the step before; the data are prepared once.
Continuous items: equal loadings, intercepts, residuals, means (Meredith 1993). Ordinal items:
equal thresholds, loadings, intercepts in the order and with the identification of Wu & Estabrook
(2016), so that each step releases exactly what it makes estimable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from cocoanalysis.arguments import names_of
from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of, suggestion
from cocoanalysis.measurement.comparison import compare
from cocoanalysis.measurement.confirmatory import CFA, _finish
from cocoanalysis.measurement.modification import releases
from cocoanalysis.measurement.parameters import Parameter, ParameterTable
from cocoanalysis.measurement.preparation import prepare
from cocoanalysis.measurement.problems import rebuilt
from cocoanalysis.measurement.specification import Call, Prepared
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

CONTINUOUS = ("configural", "metric", "scalar", "strict", "means")
ORDINAL = ("configural", "thresholds", "loadings", "intercepts", "residuals", "means")
DEFAULT_CONTINUOUS, DEFAULT_ORDINAL = CONTINUOUS[:3], ORDINAL[:4]
SYNONYMS = {"loadings": "metric", "intercepts": "scalar", "residuals": "strict"}


class Limits(NamedTuple):
    """Worst change in fit that still passes, for loadings (thresholds) and for what comes after."""

    cfi: float
    rmsea: float
    srmr: float


class RuleSet(NamedTuple):
    """Cut-offs of one source: for loadings (and thresholds), and for intercepts, residuals and means."""

    loadings: Limits
    others: Limits
    source: str


NONE = float("inf")
NOTHING = "not testable: nothing is restricted"
RULES: dict[str, RuleSet] = {
    "chen_2007": RuleSet(
        Limits(-0.010, 0.015, 0.030), Limits(-0.010, 0.015, 0.010), "Chen, 2007, for n > 300 in groups of like size"
    ),
    "chen_2007_small": RuleSet(
        Limits(-0.005, 0.010, 0.025),
        Limits(-0.005, 0.010, 0.005),
        "Chen, 2007, for n ≤ 300 or groups of unlike size; numbers not verified in the source",
    ),
    "cheung_rensvold_2002": RuleSet(
        Limits(-0.010, NONE, NONE), Limits(-0.010, NONE, NONE), "Cheung & Rensvold, 2002: ΔCFI alone"
    ),
    "rutkowski_svetina_2014": RuleSet(
        Limits(-0.020, 0.030, NONE),
        Limits(-0.010, 0.010, NONE),
        "Rutkowski & Svetina, 2014, for many groups; numbers not verified in the source",
    ),
}


@dataclass(frozen=True, eq=False, repr=False)
class Invariance(Result):
    """The ladder: `tidy()` one row a step, `releases()` one row an equality that could be given up.

    Attributes
    ----------
    fits : step → fit
    diagnostics : what a reader must know, the check of the degrees of freedom among it
    """

    fits: Mapping[str, CFA] = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    diagnostics: tuple[Diagnostic, ...] = ()
    provenance: str = "yours"
    settings: Mapping[str, Any] = field(default_factory=dict)
    title: str = "Measurement invariance"

    def tidy(self) -> pd.DataFrame:
        """One row a step: fit, its change against the step before, test of the difference, verdict.

        ``chi2`` and ``df`` are unscaled; ``delta_chi2`` and ``p_value`` are of the proper difference test. ``cfi``,
        ``rmsea`` and their changes are robust or scaled where the estimator has them (``settings['indices']``).
        """
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        """One row: how far the ladder holds."""
        first = next(iter(self.fits.values()))
        row = {"n": first.problem.total, "n_groups": len(first.problem.n), "estimator": first.settings["estimator"]}
        return pd.DataFrame([row | {"steps": len(self.table), "holds_through": self.holds_through or "none"}])

    @property
    def holds_through(self) -> str | None:
        """The last step up to which every step holds."""
        reached = None
        for step, verdict in zip(self.fits, self.table.verdict):
            if verdict not in ("holds", NOTHING):
                break
            reached = step
        return reached

    def holds(self, step: str) -> bool:
        """Whether this step and all before it hold."""
        steps = list(self.table.step)
        both = SYNONYMS | {b: a for a, b in SYNONYMS.items()}
        name = step if step in steps else both.get(step, step)
        one_of(name, steps, "step of this ladder")
        return self.holds_through is not None and steps.index(self.holds_through) >= steps.index(name)

    @cached_property
    def _releases(self) -> pd.DataFrame:
        found = [_step_releases(step, fit) for step, fit in self.fits.items() if step != self.table.step.iloc[0]]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(RELEASE_COLUMNS))

    def releases(self, step: str | None = None, limit: int | None = None) -> pd.DataFrame:
        """Equalities whose release would help most, by univariate score tests (Sörbom 1989).

        Columns step, parameter (as ``partial`` takes it), group, chi2 (expected fall of χ²), p_value, epc (expected
        change of that group's value). A release needs a reason besides.
        """
        found = self._releases if step is None else self._releases[self._releases.step == step]
        return found.head(limit).reset_index(drop=True) if limit else found.reset_index(drop=True)

    def notes(self) -> list[str]:
        told = f"Verdicts by {RULES[self.settings['rules']].source}; cut-offs are conventions, not proofs."
        remarks = next(iter(self.fits.values())).prepared.remarks
        return [*super().notes(), *remarks, told, *self._advice(), *(str(d) for d in self.diagnostics)]

    def _advice(self) -> list[str]:
        """Which releases would help most where a step does not hold."""
        told = []
        for step, verdict in zip(list(self.fits)[1:], self.table.verdict[1:]):
            best = self.releases(step, 3) if verdict in ("does not hold", "doubtful") else self.releases(step, 3)[:0]
            if len(best):
                names = [f"{r.parameter} ({r.group}: χ² −{r.chi2:.1f})" for r in best.itertuples()]
                told.append(f"{step}: releasing {listed(names)} would help most.")
        return told


@in_one_thread
def invariance(
    data: Any,
    model: str | None = None,
    *,
    group: str,
    ordered: Any = None,
    estimator: str | None = None,
    steps: Sequence[str] = DEFAULT_CONTINUOUS,
    partial: Iterable[str] = (),
    rules: str | None = None,
    missing: str = "auto",
    cluster: str | None = None,
    weights: str | None = None,
    orthogonal: bool = False,
    parameterization: str = "delta",
    collapse: Any = None,
) -> Invariance:
    """Can groups be compared: do they read the items alike?

    Parameters
    ----------
    data, model, ordered, estimator, missing, cluster, weights, collapse : as in `cfa`
    group : column that parts the rows into groups
    steps : in this order, from configural, metric, scalar, strict, means; for ordinal items from configural,
        thresholds, loadings, intercepts, residuals, means (the default: the first four)
    partial : parameters released from equality at every step, as in 'f =~ x2', 'x3 ~ 1', 'x1 | t2'
    rules : name of a rule set in ``RULES``; None takes chen_2007, or chen_2007_small when n ≤ 300

    Raises
    ------
    ModelError : UnknownStep, NoEffect (a name in ``partial`` that is held equal nowhere), and those of `cfa`

    Notes
    -----
    Binary items: thresholds and intercepts cannot both be found, so their scale stays 1 until intercepts are equal;
    ternary items: equal thresholds are a way of writing the configural model, not a test (Wu & Estabrook 2016,
    with the choices of semTools 0.5-6). χ² differences: plain for ML, Satorra & Bentler (2001) for mean-adjusted and
    Satorra (2000) for second-order scaled tests.

    Examples
    --------
    >>> import cocoanalysis as coco
    >>> folder = coco.bundled("unit-climate")
    >>> responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    >>> items = ["lead3", "lead4", "lead7", "lead11"]
    >>> halves = responses.items(items).assign(half=[k % 2 for k in range(len(responses.frame))])
    >>> ladder = coco.invariance(halves, "climate =~ " + " + ".join(items), group="half")
    >>> ladder.tidy().verdict.tolist()
    ['holds', 'holds', 'holds']
    """
    if group is None:
        raise ModelError("invariance compares groups; name the column that parts the rows (group=…).", code="NoGroup")
    steps, partial = names_of(steps, "steps"), names_of(partial, "partial")
    call = Call(
        estimator=estimator, ordered=ordered, group=group, missing=missing, cluster=cluster, weights=weights,
        orthogonal=orthogonal, parameterization=parameterization, collapse=collapse, meanstructure=True,
    )  # fmt: skip
    first = _prepared(data, model, call, steps)
    ordinal = first.problem.ordinal is not None
    names = _steps(steps, ordinal)
    released = _released(partial, first.problem.table)
    fits = _climb(first, names, released, call)
    chosen = _rules(rules, first)
    found = [*first.diagnostics, *_df_check(fits, ordinal and not released)]
    table = _table(fits, RULES[chosen], found)
    kind = _indices(next(iter(fits.values())))
    settings = first.settings | {"steps": names, "partial": partial, "rules": chosen, "indices": kind}
    return Invariance(
        fits, table, tuple(dict.fromkeys(found)), first.provenance, settings, f"Measurement invariance over {group}"
    )


def _prepared(data: Any, model: str | None, call: Call, steps: Sequence[str]) -> Prepared:
    """The configural model; ordinal factors are standardised in it, and theta serves equal residuals."""
    first = prepare(data, model, call)
    if first.problem.ordinal is None:
        return first
    theta = "residuals" in steps or "strict" in steps
    return prepare(
        data, model, replace(call, std_lv=True, parameterization="theta" if theta else call.parameterization)
    )


def _steps(steps: Sequence[str], ordinal: bool) -> tuple[str, ...]:
    """The steps in their order, by the names of the kind of items."""
    if ordinal and tuple(steps) == DEFAULT_CONTINUOUS:
        return DEFAULT_ORDINAL
    known = ORDINAL if ordinal else CONTINUOUS
    synonyms = {v: k for k, v in SYNONYMS.items()} if ordinal else SYNONYMS
    wanted = {synonyms.get(s, s) for s in steps}
    for name in wanted:
        one_of(name, known, f"step for {'ordinal' if ordinal else 'continuous'} items", code="UnknownStep")
    ladder = tuple(s for s in known if s in wanted)
    if not ladder:
        raise ModelError(f"No step was named; choose from {listed(known)}.", code="UnknownStep")
    return ladder


def _released(partial: Iterable[str], table: ParameterTable) -> frozenset[str]:
    """Row names that stay free in every group; a name that is no parameter is an error."""
    known = {row.name for row in table.rows}
    found = set()
    for text in partial:
        name = "".join(text.split())
        swapped = "~~".join(reversed(name.split("~~"))) if "~~" in name else name
        if not known & {name, swapped}:
            raise ModelError(
                f"partial names '{text}', which is no parameter of the model.{suggestion(name, known)}", code="NoEffect"
            )
        found |= known & {name, swapped}
    return frozenset(found)


# From one table to the next -----------------------------------------------------------------------


def _climb(first: Prepared, names: Sequence[str], released: frozenset[str], call: Call) -> dict[str, CFA]:
    """Fit the steps in turn, each starting where the one before ended."""
    fits: dict[str, CFA] = {}
    edit = _ordinal_row if first.problem.ordinal is not None else _continuous_row
    values: dict[tuple, float] = {}
    for name in names:
        table = _restricted(first.problem.table, _upto(name, names, edit), released, edit)
        problem = rebuilt(first.problem, table)
        start = _warm(table, values, first)
        fit = _finish(replace(first, problem=problem, start=start), CFA, f"Invariance: {name}", call)
        fits[name] = fit
        if np.all(np.isfinite(fit.solution.theta)):
            values = dict(zip(map(_place, table.rows), table.values(fit.solution.theta)))
    return fits


def _place(row: Parameter) -> tuple[str, str, str, int]:
    return row.lhs, row.op, row.rhs, row.group


def _upto(name: str, ladder: Sequence[str], edit: Callable) -> frozenset[str]:
    """The step and all that it builds on; equal means need equal residuals only when the ladder has that step."""
    known = ORDINAL if edit is _ordinal_row else CONTINUOUS
    before = known[: known.index(name) + 1]
    optional = {"strict", "residuals"} - set(ladder)
    return frozenset(before) - optional


def _restricted(
    table: ParameterTable, steps: frozenset[str], released: frozenset[str], edit: Callable
) -> ParameterTable:
    """The configural table with the equalities of ``steps``; later groups' rows change by ``edit``."""
    if steps <= {"configural"}:
        return table
    first = {(r.lhs, r.op, r.rhs): r for r in table.rows if r.group == 1}
    places: dict[Any, int] = {}
    rows = []
    for index, row in enumerate(table.rows):
        twin = first.get((row.lhs, row.op, row.rhs))
        change = None
        if row.group > 1 and twin is not None and not row.exogenous:
            change = _kept_free(row, steps, table) if row.name in released else edit(row, table, steps)
        key: Any = row.free
        if change == "tie" and twin is not None:
            row, key = (row if twin.free >= 0 else replace(row, value=twin.value, free=-1)), twin.free
        elif change == "free" and row.free < 0:
            key = ("free", index)
        place = -1 if key == -1 else places.setdefault(key, len(places))
        rows.append(row if place == row.free else _at(row, place))
    return replace(table, rows=tuple(rows), n_free=len(places))


def _at(row: Parameter, place: int) -> Parameter:
    """The row at another place among the free parameters; made directly, because `replace` is slow."""
    value = np.nan if place >= 0 else row.value
    return Parameter(
        row.lhs, row.op, row.rhs, row.group, row.level, row.user, place, value, row.start, row.label, row.exogenous,
        row.term,
    )  # fmt: skip


def _kept_free(row: Parameter, steps: frozenset[str], table: ParameterTable) -> str | None:
    """A released intercept of an ordinal item is estimated in the later groups."""
    ordinal = row.op == "~1" and row.lhs in table.options.levels and "thresholds" in steps
    return "free" if ordinal else None


def _continuous_row(row: Parameter, table: ParameterTable, steps: frozenset[str]) -> str | None:
    names = table.names[row.group, row.level]
    latent, item = row.lhs in names.latent, row.lhs in names.endogenous
    if row.op == "=~" and "metric" in steps:
        return "tie"
    if row.op == "~1" and "scalar" in steps:
        if item:
            return "tie"
        return "free" if latent and "means" not in steps else None
    if row.op == "~~" and row.lhs == row.rhs and item and "strict" in steps:
        return "tie"
    return None


def _ordinal_row(row: Parameter, table: ParameterTable, steps: frozenset[str]) -> str | None:
    """Wu & Estabrook (2016) with standardised factors in the first group."""
    names, levels = table.names[row.group, row.level], table.options.levels
    latent, categories = row.lhs in names.latent, levels.get(row.lhs, 0)
    diagonal = row.op == "~~" and row.lhs == row.rhs
    if row.op == "|":
        return "tie" if "thresholds" in steps else None
    if row.op == "=~":
        return "tie" if "loadings" in steps else None
    if row.op == "~1" and latent:
        return "free" if "intercepts" in steps and "means" not in steps else None
    if row.op == "~1" and categories:
        return "free" if "thresholds" in steps and "intercepts" not in steps else None
    if row.op == "~1" and row.lhs in names.endogenous:
        return "tie" if "intercepts" in steps else None
    if diagonal and latent:
        return "free" if "loadings" in steps and row.free < 0 else None
    scale = diagonal if table.options.parameterization == "theta" else row.op == "~*~"
    if scale and categories and "residuals" not in steps:
        known = "thresholds" in steps if categories > 2 else "intercepts" in steps
        return "free" if known else None
    if diagonal and not categories and row.lhs in names.endogenous:
        return "tie" if "residuals" in steps else None
    return None


def _warm(table: ParameterTable, values: Mapping[tuple, float], first: Prepared) -> np.ndarray:
    """Start from the step before (the first step from the configural start): tied rows from their values' mean."""
    if not values:
        given = first.problem.table
        values = {_place(row): value for row, value in zip(given.rows, given.values(first.start))}
    total, count = np.zeros(table.n_free), np.zeros(table.n_free)
    for row in table.rows:
        if row.free >= 0:
            total[row.free] += values.get(_place(row), 0.0)
            count[row.free] += 1
    return total / np.maximum(count, 1)


# What the ladder says -----------------------------------------------------------------------------


def _rules(name: str | None, first: Prepared) -> str:
    if name is None:
        return "chen_2007" if first.problem.total > 300 else "chen_2007_small"
    return one_of(name, RULES, "rule set", code="UnknownChoice")


def _indices(fit: CFA) -> str:
    """Which version of CFI and RMSEA the verdicts read."""
    if fit.problem.test == "standard":
        return "plain"
    return "scaled" if fit.problem.ordinal is not None else "robust"


def _table(fits: Mapping[str, CFA], rules: RuleSet, found: list[Diagnostic]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    before: CFA | None = None
    for step, fit in fits.items():
        row = _row(step, fit)
        if before is not None:
            row |= _change(before, fit, rows[-1], row, found)
        row["verdict"] = _verdict(step, fit, row, rules)
        rows.append(row)
        before = fit
    return pd.DataFrame(rows)


def change_of(free: Any, held: Any, rules: RuleSet, step: str) -> dict[str, Any]:
    """One row of a ladder: the restricted model, its change against the free one, and the verdict by a rule set."""
    found = _table({"free": free, step: held}, rules, []).iloc[1]
    row = {str(name): value for name, value in found.items()}
    return row if free.usable else row | {"verdict": _verdict("free", free, {}, rules)}


def _row(step: str, fit: CFA) -> dict[str, Any]:
    kind, m = _indices(fit), fit.measures
    end = "" if kind == "plain" else f"_{kind}"
    row = {"step": step, "chi2": m["chi2"], "df": fit.test.df, "cfi": m[f"cfi{end}"], "rmsea": m[f"rmsea{end}"]}
    row |= {"srmr": m["srmr"]}
    row |= {f"delta_{name}": np.nan for name in ("chi2", "df")} | {"p_value": np.nan}
    row |= {f"delta_{name}": np.nan for name in ("cfi", "rmsea", "srmr")} | {"verdict": ""}
    row |= {"n_parameters": fit.n_parameters}
    if kind != "plain":
        row |= {"chi2_scaled": m["chi2_scaled"], "cfi_plain": m["cfi"], "rmsea_plain": m["rmsea"]}
    return row


def _change(wide: CFA, narrow: CFA, earlier: dict, row: dict, found: list[Diagnostic]) -> dict[str, float]:
    changed = {f"delta_{n}": row[n] - earlier[n] for n in ("cfi", "rmsea", "srmr")}
    changed["delta_df"] = row["df"] - earlier["df"]
    usable = all(f.identified and f.converged for f in (wide, narrow))
    if not usable or changed["delta_df"] <= 0:
        return changed
    test = compare(wide, narrow)
    found += test.diagnostics
    last = test.glance().iloc[0]
    return changed | {"delta_chi2": last.delta_chi2, "p_value": last.p_value}


def _verdict(step: str, fit: CFA, row: Mapping[str, Any], rules: RuleSet) -> str:
    """holds, doubtful, does not hold, or not testable with the reason.

    Chen's rule: a fall of CFI counts when RMSEA or SRMR agrees; where they disagree the step is doubtful.
    """
    if not fit.usable:
        faults = [d.code for d in fit.diagnostics if d.severity == "error"]
        return f"not testable: {listed(faults) or 'the fit cannot be used'}"
    if step == "configural":
        good = row["cfi"] >= 0.95 and row["srmr"] <= 0.08 and row["rmsea"] <= 0.06
        return "holds" if good else "doubtful" if row["cfi"] >= 0.9 and row["srmr"] <= 0.08 else "does not hold"
    if row["delta_df"] == 0:
        return NOTHING
    limits = rules.loadings if step in ("metric", "loadings", "thresholds") else rules.others
    falls = row["delta_cfi"] <= limits.cfi
    seconds = [row["delta_rmsea"] >= limits.rmsea, row["delta_srmr"] >= limits.srmr]
    alone = limits.rmsea == NONE
    if falls:
        return "does not hold" if alone or any(seconds) else "doubtful"
    return "doubtful" if any(seconds) else "holds"


def _df_check(fits: Mapping[str, CFA], ordinal: bool) -> list[Diagnostic]:
    """Do the degrees of freedom grow as the theory of the step says? Otherwise something else was set free or tied."""
    found: list[Diagnostic] = []
    if not ordinal:
        return found
    levels = next(iter(fits.values())).problem.table.options.levels
    binary = [name for name, count in levels.items() if count == 2]
    if binary and "loadings" in fits:
        reason = (
            f"{listed(binary, 5)}: with two categories, equal loadings cannot be told from equal scales before the "
        )
        reason += "intercepts are equal; the loadings step depends on the parameterisation."
        found.append(Diagnostic("BinaryItems", reason, "note"))
    steps = list(fits)
    for earlier, step in pairwise(steps):
        wanted = _expected_df(fits[earlier], step)
        got = fits[step].test.df - fits[earlier].test.df
        if wanted is not None and ORDINAL.index(step) == ORDINAL.index(earlier) + 1 and got != wanted:
            reason = f"the step {step} adds {got} degrees of freedom where {wanted} were expected; is every item free?"
            found.append(Diagnostic("UnexpectedDf", reason, "warning"))
    return found


def _expected_df(fit: CFA, step: str) -> int | None:
    """Wu & Estabrook (2016): what one step adds when every item loads on one free factor and nothing is released."""
    table = fit.problem.table
    if any(r.op == "~" or (r.term is not None and r.term.fixed) for r in table.rows):
        return None
    names, levels = table.names[1, 1], table.options.levels
    loads = [r for r in table.rows if r.op == "=~" and r.group == 1 and r.level == 1]
    if any(r.rhs in names.latent for r in loads) or set(levels) != set(names.endogenous):
        return None
    others, binary = len(fit.problem.n) - 1, sum(k == 2 for k in levels.values())
    by_step = {
        "thresholds": sum(max(k - 3, 0) for k in levels.values()),
        "loadings": len(loads) - len(names.latent),
        "intercepts": len(levels) - len(names.latent) - binary,
        "residuals": len(levels),
    }
    return by_step[step] * others if step in by_step else None


RELEASE_COLUMNS = ("step", "parameter", "group", "chi2", "p_value", "epc")


def _step_releases(step: str, fit: CFA) -> pd.DataFrame:
    """Score tests of the step's equalities, one row a parameter: that group which gains most."""
    if not (fit.identified and fit.converged):
        return pd.DataFrame(columns=list(RELEASE_COLUMNS))
    label = fit.problem.table.group_label
    tied = [r for r in releases(fit.problem, fit.solution, added=()) if r.kind == "tied"]
    rows = [
        {
            "step": step,
            "parameter": str(r.row),
            "group": label(r.row.group),
            "chi2": r.mi,
            "p_value": float(special.chdtrc(1, r.mi)),
            "epc": r.epc,
        }
        for r in tied
    ]
    frame = pd.DataFrame(rows, columns=list(RELEASE_COLUMNS))
    best = frame.sort_values("chi2", ascending=False, kind="stable").drop_duplicates("parameter")
    return best.reset_index(drop=True)
