"""What has to hold of the measurement before hypotheses are judged: gates stand outside every family.

A measurement gate fits the plan's correlated-factors model and its rivals, and holds global fit
and discriminant validity against cited conventions (Hu & Bentler, 1999; Henseler, Ringle &
Sarstedt, 2015). When it fails, the hypotheses that it guards are not testable one by one and the
plan's composite is judged instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cocoanalysis.errors import CocoError, Diagnostic, PlanError, listed
from cocoanalysis.measurement.confirmatory import cfa
from cocoanalysis.measurement.invariance import Invariance, invariance
from cocoanalysis.measurement.mimic import LEAST as FEWEST
from cocoanalysis.measurement.mimic import mimic
from cocoanalysis.measurement.rows import shared_categories
from cocoanalysis.measurement.validity import htmt
from cocoanalysis.propositions.plan import GateEntry, Plan
from cocoanalysis.result import Result

SUFFIX = {"ml": "", "mlr": "_robust", "wlsmv": "_scaled"}  # which CFI and RMSEA a rule of thumb is held against


@dataclass(frozen=True, repr=False)
class Gate(Result):
    """One gate: its verdict (supported: it holds), the reason, the models behind it."""

    entry: GateEntry
    verdict: str
    reason: str
    table: pd.DataFrame
    fits: Mapping[str, Any]
    diagnostics: tuple[Diagnostic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: str = "yours"
    survey: Any = None
    syntax: str = ""
    title: str = "Gate"

    def cutoffs(self, draws: int = 100, seed: int = 0) -> pd.DataFrame:
        """What the fit indices of this very model would be if it were exactly right, beside the conventions.

        Answers are drawn from the fitted model (normal; ordinal items cut at its thresholds), as many as there are
        rows, and the model is fitted to each draw. Columns index, value, cutoff (the worst 5 % begin there), p_value
        (share of draws that fit no better), draws. Takes as long as ``draws`` fits.

        Raises
        ------
        PlanError : NoMeasurementModel for a gate without one
        """
        if self.entry.kind != "measurement" or not self.fits:
            raise PlanError(
                f"The gate {self.entry.id} has no measurement model to draw from.", code="NoMeasurementModel"
            )
        return simulated_cutoffs(self.fit, self.syntax, str(self.settings["estimator"]), draws, seed)

    @property
    def open(self) -> bool:
        return self.verdict == "supported"

    @property
    def fit(self) -> Any:
        """The plan's own measurement model."""
        return next(iter(self.fits.values()))

    def tidy(self) -> pd.DataFrame:
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame([{"gate": self.entry.id, "verdict": self.verdict, "reason": self.reason, **self.settings}])

    def notes(self) -> list[str]:
        words = "Cut-offs are conventions, not tests: Hu & Bentler (1999) for fit, Henseler et al. (2015) for HTMT."
        return [*super().notes(), self.reason, words]


Examination = Callable[[GateEntry, Plan, Any], Gate]
GATES: dict[str, Examination] = {}


def gate(kind: str) -> Callable[[Examination], Examination]:
    def register(function: Examination) -> Examination:
        GATES[kind] = function
        return function

    return register


def examine(plan: Plan, responses: Any, *, guarding: bool = False) -> tuple[Gate, ...]:
    """The gates of the plan on these responses (after the plan's exclusions); ``guarding`` takes those that guard a
    hypothesis."""
    wanted = [entry for entry in plan.form.gates if entry.guards or not guarding]
    return tuple(GATES[entry.kind](entry, plan, responses) for entry in wanted)


def closed(entry: GateEntry, responses: Any, reason: str, plan: Plan) -> Gate:
    """A gate whose models could not be fitted."""
    return Gate(
        entry=entry,
        verdict="not testable",
        reason=reason,
        table=pd.DataFrame(),
        fits={},
        settings=plan.form.latent.model_dump(),
        provenance=getattr(responses, "provenance", "yours"),
        survey=getattr(responses, "survey", None),
        title=f"{entry.id}: {entry.sentence.get('en', '')}",
    )


# --- measurement ----------------------------------------------------------------------------------------------------


@gate("measurement")
def measurement(entry: GateEntry, plan: Plan, responses: Any) -> Gate:
    """Correlated factors against one factor, a second-order factor and a bifactor model."""
    survey, latent = responses.survey, plan.form.latent
    settings: dict[str, Any] = {"estimator": latent.estimator, "missing": latent.missing}
    base = survey.measurement_model(entry.model)
    try:
        fits = {"correlated factors": cfa(responses, base, **settings)}
        sound = bool(fits["correlated factors"].glance()["admissible"].iloc[0])
        for rival in entry.against:
            if not sound and rival != "one_factor":
                continue  # factors that are one cannot be given a factor of their own beside a general one
            syntax, extra = rival_model(rival, base)
            fits[rival.replace("_", " ")] = cfa(responses, syntax, **settings, **extra)
        ratio = float(htmt(responses, entry.model).tidy()["htmt"].max())
    except CocoError as error:
        return closed(entry, responses, f"Not testable: {error}", plan)
    table = pd.DataFrame([{"model": name, **_measures(fit, latent.estimator)} for name, fit in fits.items()])
    verdict, reason = _held(entry, table, ratio)
    return Gate(
        entry=entry,
        verdict=verdict,
        reason=reason,
        table=table.assign(htmt_max=[ratio] + [np.nan] * (len(table) - 1)),
        fits=fits,
        settings=settings,
        provenance=responses.provenance,
        survey=survey,
        syntax=base,
        title=f"{entry.id}: {entry.sentence.get('en', '')}",
    )


def simulated_cutoffs(fit: Any, syntax: str, estimator: str, draws: int, seed: int) -> pd.DataFrame:
    """The 95 % bounds of CFI, RMSEA and SRMR over draws from a fitted model (one group)."""
    n, observed = int(fit.glance()["n"].iloc[0]), _measures(fit, estimator)
    random = np.random.default_rng(seed)
    settings: dict[str, Any] = {"estimator": estimator, "ordered": True if estimator == "wlsmv" else None}
    drawn = []
    for _ in range(draws):
        again = cfa(_drawn(fit, n, random), syntax, **settings)
        found = _measures(again, estimator)
        if found["converged"]:
            drawn.append([found[name] for name in ("cfi", "rmsea", "srmr")])
    rows = []
    for name, values, sign in zip(("cfi", "rmsea", "srmr"), np.array(drawn).T, (-1, 1, 1)):
        worst = float(np.quantile(values, 0.05 if sign < 0 else 0.95))
        share = float(np.mean(sign * values >= sign * observed[name]))
        rows.append([name, observed[name], worst, share, len(values)])
    return pd.DataFrame(rows, columns=["index", "value", "cutoff", "p_value", "draws"])


def _drawn(fit: Any, n: int, random: np.random.Generator) -> pd.DataFrame:
    """One sample of n rows from the fitted model; ordinal items as codes 1, 2, …"""
    covariance = fit.implied()["cov"]
    values = random.multivariate_normal(np.zeros(len(covariance)), covariance.to_numpy(), n, method="cholesky")
    table = fit.tidy()
    cuts = {str(item): np.sort(part["est"].to_numpy(float)) for item, part in table[table["op"] == "|"].groupby("lhs")}
    columns = {}
    for name, column in zip(covariance.columns, values.T):
        spread = np.sqrt(covariance.loc[name, name])
        columns[name] = column if name not in cuts else np.searchsorted(cuts[name], column / spread) + 1.0
    return pd.DataFrame(columns)


def rival_model(rival: str, base: str) -> tuple[str, dict[str, Any]]:
    """Syntax of a rival to a correlated-factors model, and the settings that it needs."""
    pairs = [line.split(" =~ ") for line in base.splitlines() if " =~ " in line]
    factors = [name.strip() for name, _ in pairs]
    items = " + ".join(part.strip() for _, part in pairs)
    if rival == "one_factor":
        return f"general =~ {items}", {}
    if rival == "second_order":
        return f"{base}\ngeneral =~ {' + '.join(factors)}", {}
    return f"{base}\ngeneral =~ {items}", {"orthogonal": True, "std_lv": True}


def _measures(fit: Any, estimator: str) -> dict[str, Any]:
    row = fit.glance().iloc[0]
    suffix = SUFFIX[estimator]
    facts = {name: bool(row[name]) for name in ("identified", "converged", "admissible")}
    kept = {"n": int(row["n"]), "df": row["df"], "chi2": row["chi2_scaled"] if suffix else row["chi2"]}
    return kept | {
        "cfi": row[f"cfi{suffix}"],
        "rmsea": row[f"rmsea{suffix}"],
        "srmr": row["srmr"],
        "bic": row["bic"],
        **facts,
    }


def _held(entry: GateEntry, table: pd.DataFrame, ratio: float) -> tuple[str, str]:
    own = table.iloc[0]
    general = table[(table["model"] == "one factor") & table["admissible"].astype(bool)]
    faults = [name for name in ("identified", "converged", "admissible") if not own[name]]
    if faults and len(general) and general["cfi"].iloc[0] >= entry.cfi and ratio >= entry.htmt:
        fitting = f"one factor fits as well (CFI {general['cfi'].iloc[0]:.3f}), the largest HTMT is {ratio:.3f}"
        return "contradicted", f"The practices are not distinct: {fitting}, and their own model is not {faults[0]}."
    if faults:
        return "not testable", f"Not testable: the measurement model is not {' and not '.join(faults)}."
    criteria = [
        ("CFI", own["cfi"], "≥", entry.cfi, own["cfi"] >= entry.cfi),
        ("RMSEA", own["rmsea"], "≤", entry.rmsea, own["rmsea"] <= entry.rmsea),
        ("SRMR", own["srmr"], "≤", entry.srmr, own["srmr"] <= entry.srmr),
        ("largest HTMT", ratio, "<", entry.htmt, ratio < entry.htmt),
    ]
    said = ", ".join(
        f"{name} {value:.3f} ({'' if good else 'not '}{sign} {bound:g})" for name, value, sign, bound, good in criteria
    )
    rivals = "; ".join(f"{row.model}: CFI {row.cfi:.3f}, SRMR {row.srmr:.3f}" for row in table.iloc[1:].itertuples())
    undercut = bool(len(general)) and bool(general["cfi"].iloc[0] >= own["cfi"])
    holds = all(good for *_, good in criteria) and not undercut
    beside = f" Rivals: {rivals}." if rivals else ""
    head = "The practices hang together and stay distinct" if holds else "The measurement model does not hold"
    return ("supported" if holds else "contradicted"), f"{head}: {said}.{beside}"


# --- invariance -----------------------------------------------------------------------------------------------------

LEAST = 100  # rows of a group that takes part in a ladder; below, a MIMIC model is what is left
ORDINAL = {
    "metric": ("configural", "thresholds", "loadings"),
    "scalar": ("configural", "thresholds", "loadings", "intercepts"),
}
CONTINUOUS = {"metric": ("configural", "metric"), "scalar": ("configural", "metric", "scalar")}


class Compared(NamedTuple):
    """What one grouping came to: a verdict, words, the table's rows, and the models."""

    verdict: str
    words: str
    tables: tuple[pd.DataFrame, ...] = ()
    fits: tuple[Any, ...] = ()


@gate("invariance")
def invariant(entry: GateEntry, plan: Plan, responses: Any) -> Gate:
    """The ladder of each grouping, through loadings ('metric') or intercepts ('scalar'); groups below 100 rows by a
    MIMIC model, which tells shifts of items but no loadings; all must hold."""
    found = {group: _grouping(entry, plan, responses, group) for group in entry.groups}
    verdicts = [one.verdict for one in found.values()]
    verdict = next((v for v in ("contradicted", "not testable") if v in verdicts), "supported")
    heads = {"supported": "Comparable", "contradicted": "Not comparable", "not testable": "Comparability not shown"}
    tables = [table.assign(groups=group) for group, one in found.items() for table in one.tables]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    said = "; ".join(f"{group}: {one.words}" for group, one in found.items())
    fits = {(group if k == 0 else f"{group} ({k + 1})"): fit for group, one in found.items()
            for k, fit in enumerate(one.fits)}  # fmt: skip
    return Gate(
        entry=entry,
        verdict=verdict,
        reason=f"{heads[verdict]} ({entry.through}). {said}.",
        table=table.assign(n=len(responses.frame)) if tables else table,
        fits=fits,
        settings=plan.form.latent.model_dump(),
        provenance=responses.provenance,
        survey=responses.survey,
        title=f"{entry.id}: {entry.sentence.get('en', '')}",
    )


def _grouping(entry: GateEntry, plan: Plan, responses: Any, group: str) -> Compared:
    """The large groups of one column by a ladder, the small ones as covariates."""
    sizes = responses.frame[group].value_counts()
    large, small = sizes[sizes >= LEAST], sizes[(sizes < LEAST) & (sizes > 0)]
    parts = [_ladder(entry, plan, responses, group, large)] if len(large) > 1 else []
    climbed = bool(parts) and bool(parts[0].fits)
    others = small if climbed else sizes[sizes > 0].iloc[1:]  # without a ladder all but the largest are covariates
    if len(others) and entry.through == "scalar":
        parts.append(_covariate(entry, responses, group, others))
    elif len(small):
        words = f"the loadings of {_sized(small)} cannot be compared, which needs {LEAST} rows a group"
        parts.append(Compared("supported" if parts else "not testable", words))
    if not parts:
        return Compared("not testable", "it has fewer than two groups")
    verdict = next((v for v in ("contradicted", "not testable") if v in [part.verdict for part in parts]), "supported")
    return Compared(
        verdict,
        ", ".join(part.words for part in parts),
        tuple(table for part in parts for table in part.tables),
        tuple(fit for part in parts for fit in part.fits),
    )


def _sized(groups: pd.Series) -> str:
    return listed(f"{name} ({n})" for name, n in groups.items())


def _ladder(entry: GateEntry, plan: Plan, responses: Any, group: str, large: pd.Series) -> Compared:
    column = responses.frame[group]
    used = responses.kept(column.isin(large.index).to_numpy(dtype=bool))
    base, latent = responses.survey.measurement_model(entry.model), plan.form.latent
    merged, steps = "", CONTINUOUS[entry.through]
    settings: dict[str, Any] = {"estimator": latent.estimator, "missing": latent.missing}
    if latent.estimator == "wlsmv":
        items = [name for line in base.splitlines() if " =~ " in line for name in line.split(" =~ ")[1].split(" + ")]
        recipe = shared_categories(used.items(items, keyed=True), used.frame[group])
        merged, steps = f", with rare answers of {len(recipe)} items merged" if recipe else "", ORDINAL[entry.through]
        settings["collapse"] = recipe or None
    try:
        ladder = invariance(used, base, group=group, steps=steps, **settings)
    except CocoError as error:
        return Compared("not testable", f"not testable ({str(error).rstrip('.')})")
    return Compared(_climbed(ladder), f"{_words(ladder)}{merged}", (ladder.tidy(),), (ladder,))


def _covariate(entry: GateEntry, responses: Any, group: str, small: pd.Series) -> Compared:
    """Groups that are too small for a model of their own, as covariates of one model."""
    survey = responses.survey
    cluster = survey.cluster if survey.cluster in responses.frame.columns else None
    told = [str(name) for name, n in small.items() if n >= FEWEST]
    tiny = small[small < FEWEST]
    left = f" (without {_sized(tiny)})" if len(tiny) else ""
    if not told:
        return Compared("not testable", f"{_sized(small)} too small for any comparison")
    used = responses.kept((~responses.frame[group].isin(tiny.index)).to_numpy(dtype=bool))
    try:
        found = mimic(used, entry.model, group=group, examined=told, cluster=cluster, missing="fiml")
    except CocoError as error:
        return Compared("not testable", f"not testable ({str(error).rstrip('.')})")
    outcome = {"holds": "supported", "doubtful": "supported"}.get(found.verdict, "contradicted")
    if found.verdict.startswith("not testable"):
        outcome = "not testable"
    worst = found.largest(3)
    moved = f" (most shifted: {listed(f'{r.item} by {r.d:.2f} SD' for r in worst.itertuples())})" if len(worst) else ""
    words = f"{_sized(small[small >= FEWEST])} as covariates: equal intercepts {found.verdict}{moved}{left}"
    row = found.glance().drop(columns=["group", "n", *found.settings])
    return Compared(outcome, words, (row.assign(step="intercepts (MIMIC)"),), (found,))


def _climbed(ladder: Invariance) -> str:
    found = list(ladder.tidy()["verdict"])
    if any(verdict == "does not hold" for verdict in found):
        return "contradicted"
    return "not testable" if any(verdict.startswith("not testable") for verdict in found) else "supported"


def _words(ladder: Invariance) -> str:
    table = ladder.tidy()
    steps, verdicts = [str(step) for step in table["step"]], [str(verdict) for verdict in table["verdict"]]
    rejected = (table["p_value"].astype(float) < 0.001).tolist()
    odd = [step for step, verdict, low in zip(steps, verdicts, rejected) if verdict == "holds" and low]
    worst = [
        step for step, verdict, low in zip(steps, verdicts, rejected)
        if step != "configural" and (verdict in ("does not hold", "doubtful") or low)
    ]  # fmt: skip
    tested = f" (by the change of CFI, although the test of {listed(odd)} has p < .001)" if odd else ""
    best = ladder.releases(worst[0], 3) if worst else pd.DataFrame()
    freed = f" (free first: {listed(best['parameter'])})" if len(best) else ""
    return f"{', '.join(f'{step} {verdict}' for step, verdict in zip(steps, verdicts))}{tested}{freed}"
