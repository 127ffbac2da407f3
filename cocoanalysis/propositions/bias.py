"""How much of what is found may be common method? Sensitivity checks, none of which settles it.

The marker technique with its five models (Williams, Hartman & Cavazotte, 2010), an unmeasured
method factor, the split of each collaboration's raters into those who tell of the practice and
those who tell of the outcome, and Harman's share, which is a description only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ModelError, one_of
from cocoanalysis.measurement.comparison import compare
from cocoanalysis.measurement.confirmatory import cfa
from cocoanalysis.measurement.exploratory import efa
from cocoanalysis.propositions.associations import Associations
from cocoanalysis.propositions.estimands import Answers, answers_to
from cocoanalysis.result import Result

FEWEST = 10  # clusters with at least four raters


# --- split clusters -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False, kw_only=True)
class SplitCluster(Associations):
    """The association of cluster means when predictor and outcome come from the same or from different raters: `tidy()`
    has the columns estimate (same raters, other raters, other raters disattenuated), est, ci_lower, ci_upper."""

    title: str = "Split clusters"
    caution: ClassVar[str] = (
        "'other raters' is smaller than 'same raters' also without common method, because half-groups are less "
        "reliable; the disattenuated value corrects for that. Between-cluster confounding remains."
    )


class _Clusters(NamedTuple):
    """Per cluster: size, sum, sum of squares of predictor and outcome, and the means of the halves by split."""

    size: np.ndarray  # (G,)
    sums: np.ndarray  # (2, G)
    squares: np.ndarray  # (2, G)
    halves: np.ndarray  # (splits, G, 2 halves, 2 variables)


def split_cluster(
    data: Any,
    *,
    outcome: str,
    predictor: str,
    cluster: str | None = None,
    splits: int = 50,
    draws: int = 999,
    level: float = 0.95,
    seed: int = 0,
) -> SplitCluster:
    """Correlate the collaborations' views of a practice and of an outcome, each from one half of the raters.

    Each split takes the predictor from a random half of a cluster's raters and the outcome from the other half; the
    mean over splits is divided by the root of the product of the half-group means' reliabilities (from ICC(1) by
    Spearman & Brown). Intervals resample clusters.

    Parameters
    ----------
    data : Responses or DataFrame
    outcome, predictor : scores or columns
    cluster : None takes the survey's
    splits, draws, seed : random halves, resamples, and their seed

    Raises
    ------
    ModelError : UnknownVariable, NoCluster, FewClusters

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> group = np.repeat(np.arange(40), 8)
    >>> view = random.normal(size=40)[group]
    >>> table = pd.DataFrame({"x": view + random.normal(size=320), "y": view + random.normal(size=320), "group": group})
    >>> found = split_cluster(table, outcome="y", predictor="x", cluster="group", draws=99).tidy()
    >>> bool(found["est"][1] < found["est"][2])
    True
    """
    answers = answers_to(data, [outcome, predictor], cluster)
    parts = _clusters(answers, predictor, outcome, splits, np.random.default_rng(seed))
    groups = parts.size.size
    whole = _correlations(parts, np.ones((1, groups)))[0]
    counts = np.random.default_rng([seed, 1]).multinomial(groups, np.full(groups, 1 / groups), draws)
    drawn = _correlations(parts, counts.astype(float))
    tails = [0.5 - level / 2, 0.5 + level / 2]
    low, high = np.nanquantile(drawn, tails, axis=0) if np.isfinite(drawn).any() else np.full((2, 3), np.nan)
    names = ["same raters", "other raters", "other raters, disattenuated"]
    found: tuple[Diagnostic, ...] = ()
    if np.isnan(whole[2]):
        text = "A variable does not differ between clusters by ICC(1), so nothing can be disattenuated."
        found = (Diagnostic("NoClusterVariance", text, "warning"),)
    elif abs(whole[2]) > 1:
        text = (
            "The disattenuated value lies beyond ±1, which no correlation does: the clusters' means are too "
            "unreliable, or too few, to correct for it. Read it as 'high', not as a number."
        )
        found = (Diagnostic("BeyondOne", text, "warning"),)
    icc = _icc(parts, np.ones((1, groups)))[:, 0]
    return SplitCluster(
        table=pd.DataFrame({"estimate": names, "est": whole, "ci_lower": low, "ci_upper": high}),
        numbers={"n": int(parts.size.sum()), "n_clusters": groups, "icc_predictor": icc[0], "icc_outcome": icc[1]},
        diagnostics=found,
        settings={"predictor": predictor, "outcome": outcome, "splits": splits, "draws": draws, "seed": seed},
        provenance=getattr(data, "provenance", "yours"),
        survey=getattr(data, "survey", None),
        title=f"Split clusters: {predictor} and {outcome}",
    )


def _clusters(answers: Answers, predictor: str, outcome: str, splits: int, random: np.random.Generator) -> _Clusters:
    if answers.clusters is None:
        raise ModelError(
            "Splitting raters needs clusters: pass cluster='the column that names them'.", code="NoCluster"
        )
    rows = answers.complete([predictor, outcome])
    size = np.bincount(answers.clusters[rows])
    keep = rows & (np.r_[size, 0][np.where(answers.clusters < len(size), answers.clusters, -1)] >= 4)
    codes = np.unique(answers.clusters[keep], return_inverse=True)[1].ravel()
    groups = int(codes.max()) + 1 if codes.size else 0
    if groups < FEWEST:
        raise ModelError(
            f"{groups} clusters have four raters who answered both; at least {FEWEST} are needed.", code="FewClusters"
        )
    values = np.array([answers.number(name)[keep] for name in (predictor, outcome)])
    size = np.bincount(codes)
    sums = np.array([np.bincount(codes, one) for one in values])
    squares = np.array([np.bincount(codes, one**2) for one in values])
    halves = np.array([_halved(values, codes, size, random) for _ in range(splits)])
    return _Clusters(size, sums, squares, halves)


def _halved(values: np.ndarray, codes: np.ndarray, size: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Means (G, 2 halves, 2 variables) of a random half of each cluster and of the rest."""
    order = np.argsort(codes + random.random(codes.size))
    place = np.arange(codes.size) - np.repeat(np.cumsum(size) - size, size)
    first = place < np.repeat(size // 2, size)
    sorted_codes = codes[order]
    means = [
        [np.bincount(sorted_codes, one[order] * part) / np.bincount(sorted_codes, part) for one in values]
        for part in (first.astype(float), (~first).astype(float))
    ]
    return np.array(means).transpose(2, 0, 1)


def _correlations(parts: _Clusters, counts: np.ndarray) -> np.ndarray:
    """Same raters, other raters, other raters disattenuated, for each row of cluster weights (draws, G)."""
    same = np.mean([_correlation(parts.halves[:, :, h, 0], parts.halves[:, :, h, 1], counts) for h in (0, 1)], axis=0)
    other = np.mean(
        [_correlation(parts.halves[:, :, h, 0], parts.halves[:, :, 1 - h, 1], counts) for h in (0, 1)], axis=0
    )
    reliability = _half_reliability(parts, counts)
    product = reliability[0] * reliability[1]
    true = np.divide(other, np.sqrt(np.maximum(product, 0)), out=np.full(other.shape, np.nan), where=product > 0)
    return np.column_stack([same, other, true])


def _correlation(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Weighted correlation over clusters, averaged over splits: x, y (splits, G), counts (draws, G) → (draws,)."""
    share = counts / counts.sum(axis=1, keepdims=True)
    mean_x, mean_y = share @ x.T, share @ y.T
    joint = share @ (x * y).T - mean_x * mean_y
    spread = (share @ (x**2).T - mean_x**2) * (share @ (y**2).T - mean_y**2)
    return (joint / np.sqrt(spread)).mean(axis=1)


def _icc(parts: _Clusters, counts: np.ndarray) -> np.ndarray:
    """ICC(1) of predictor and outcome (2, draws) from the analysis of variance, with k₀ for unequal sizes."""
    groups, total = counts.sum(axis=1), counts @ parts.size
    k0 = (total - counts @ parts.size**2 / total) / (groups - 1)
    found = []
    for sums, squares in zip(parts.sums, parts.squares):
        between = counts @ (sums**2 / parts.size) - (counts @ sums) ** 2 / total
        within = counts @ (squares - sums**2 / parts.size)
        msb, msw = between / (groups - 1), within / (total - groups)
        found.append((msb - msw) / (msb + (k0 - 1) * msw))
    return np.array(found)


def _half_reliability(parts: _Clusters, counts: np.ndarray) -> np.ndarray:
    """Reliability of the mean of half a cluster's raters (2, draws), at the harmonic mean of the halves' sizes."""
    icc = _icc(parts, counts)
    halves = np.r_[parts.size // 2, parts.size - parts.size // 2]
    typical = 1 / np.mean(1 / halves)
    return np.maximum(typical * icc / (1 + (typical - 1) * icc), 0.0)


# --- method factors -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class MethodFactor(Result):
    """Models with and without a method factor: `tidy()` one row a model, `correlations()` what it changes."""

    fits: Mapping[str, Any]
    table: pd.DataFrame
    tests: pd.DataFrame
    share: float
    before: str
    after: str
    method: str  # the method factor's name
    settings: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    provenance: str = "yours"
    survey: Any = None
    title: str = "Method factor"

    def tidy(self) -> pd.DataFrame:
        """Columns model, chi2, df, cfi, rmsea, srmr, bic, converged, admissible."""
        return self.table.copy()

    def glance(self) -> pd.DataFrame:
        change = self.correlations()["change"].abs()
        return pd.DataFrame([{"method_share": self.share, "largest_change": change.max(), **self.settings}])

    def correlations(self) -> pd.DataFrame:
        """Correlations of the substantive factors without and with the method factor, and their change."""
        first, last = (_factor_correlations(self.fits[name]) for name in (self.before, self.after))
        first = first[(first["first"] != self.method) & (first["second"] != self.method)]
        table = first.merge(last, on=["first", "second"], suffixes=("_without", "_with"))
        return table.assign(change=table["r_with"] - table["r_without"])

    def notes(self) -> list[str]:
        words = (
            f"The method factor takes {self.share:.0%} of the items' variance. It may take substance along, and a "
            "method that is not like it stays unseen: a sensitivity check, no proof."
        )
        return [*super().notes(), words, *(str(diagnostic) for diagnostic in self.diagnostics)]


def marker_technique(
    data: Any, model: str | Sequence[str], *, marker: str = "marker", estimator: str = "ml", missing: str = "auto"
) -> MethodFactor:
    """Does a marker that has no business here load on the substantive items, and does that change the correlations?

    Five models (Williams, Hartman & Cavazotte, 2010): CFA (all factors correlated), baseline (marker fixed at its CFA
    solution and uncorrelated), method-C (the marker loads on every item, equally), method-U (freely), method-R (the
    better of the two with the substantive correlations fixed at the baseline's). Baseline against C asks for method
    variance, C against U whether it is equal, R against its own whether it biases the correlations.

    Parameters
    ----------
    data : Responses (``model`` and ``marker`` name constructs, blocks or scores) or DataFrame (lavaan syntax)
    estimator, missing : as in `cfa`, of the ML family

    Raises
    ------
    ModelError : UnknownChoice, and those of `cfa`
    """
    one_of(estimator, ("ml", "mlr"), "estimator of the marker technique")
    base, mark = _syntax(data, model), _syntax(data, marker)
    factors, items = _read(base)
    settings: dict[str, Any] = {"estimator": estimator, "missing": missing, "std_lv": True}
    fits = {"CFA": cfa(data, f"{base}\n{mark}", **settings)}
    fixed = _fixed_marker(fits["CFA"], mark, factors)
    fits["baseline"] = cfa(data, f"{base}\n{fixed}", **settings)
    name = _read(mark)[0][0]
    fits["method-C"] = cfa(data, f"{base}\n{fixed}\n{name} =~ {' + '.join(f'm*{i}' for i in items)}", **settings)
    fits["method-U"] = cfa(data, f"{base}\n{fixed}\n{name} =~ {' + '.join(items)}", **settings)
    unequal = _p(fits["method-C"], fits["method-U"]) < 0.05
    best = "method-U" if unequal else "method-C"
    loads = " + ".join(items) if unequal else " + ".join(f"m*{i}" for i in items)
    held = "\n".join(
        f"{row.first} ~~ {row.r!r}*{row.second}" for row in _factor_correlations(fits["baseline"]).itertuples()
        if name not in (row.first, row.second)
    )  # fmt: skip
    fits["method-R"] = cfa(data, f"{base}\n{fixed}\n{name} =~ {loads}\n{held}", **settings)
    tests = [
        ("method variance: baseline against method-C", "baseline", "method-C"),
        ("unequal over items: method-C against method-U", "method-C", "method-U"),
        (f"bias of the correlations: {best} against method-R", "method-R", best),
    ]
    return _method_result(data, fits, tests, ("baseline", best), name, items, "Marker technique", settings)


def method_factor(
    data: Any, model: str | Sequence[str] | None = None, *, estimator: str = "ml", missing: str = "auto"
) -> MethodFactor:
    """Add an unmeasured method factor, uncorrelated with the others and free on all items, and see what changes.

    Where items load alike on their factors it can hardly be told from them; Richardson, Simmering & Sturman (2009)
    show how little it settles. Read it as a bound.

    Parameters
    ----------
    data : Responses (``model`` names constructs, a block or a score; None the survey's own model) or DataFrame
    estimator, missing : as in `cfa`
    """
    base = _syntax(data, model)
    factors, items = _read(base)
    settings: dict[str, Any] = {"estimator": estimator, "missing": missing, "std_lv": True}
    apart = "\n".join(f"method ~~ 0*{name}" for name in factors)
    wide = f"{base}\nmethod =~ {' + '.join(items)}\n{apart}"
    fits = {"without": cfa(data, base, **settings), "with": cfa(data, wide, **settings)}
    tests = [("method variance: without against with", "without", "with")]
    return _method_result(data, fits, tests, ("without", "with"), "method", items, "Unmeasured method factor", settings)


def _syntax(data: Any, model: str | Sequence[str] | None) -> str:
    survey = getattr(data, "survey", None)
    if isinstance(model, str) and "=~" in model:
        return model
    if survey is None:
        raise ModelError("A plain table needs the model as lavaan syntax, as in 'f =~ x1 + x2'.", code="NoModel")
    return survey.measurement_model(model)


def _read(syntax: str) -> tuple[list[str], list[str]]:
    """Factors and items of 'f =~ x1 + x2' lines."""
    pairs = [line.split("=~") for line in syntax.splitlines() if "=~" in line and not line.lstrip().startswith("#")]
    items = [item.strip().split("*")[-1] for _, part in pairs for item in part.split("+")]
    return [name.strip() for name, _ in pairs], list(dict.fromkeys(items))


def _fixed_marker(fit: Any, mark: str, factors: Sequence[str]) -> str:
    """The marker with its loadings and residual variances fixed at the fit's values, uncorrelated with the factors."""
    (name,), items = _read(mark)
    table = fit.tidy()
    loading = table[(table["op"] == "=~") & (table["lhs"] == name)].set_index("rhs")["est"]
    own = table[(table["op"] == "~~") & (table["lhs"] == table["rhs"])].set_index("lhs")["est"]
    lines = [f"{name} =~ {' + '.join(f'{float(loading[item])!r}*{item}' for item in items)}"]
    lines += [f"{item} ~~ {float(own[item])!r}*{item}" for item in items]
    return "\n".join([*lines, *(f"{name} ~~ 0*{factor}" for factor in factors)])


def _p(narrow: Any, wide: Any) -> float:
    return float(compare(narrow, wide).glance()["p_value"].iloc[0])


def _factor_correlations(fit: Any) -> pd.DataFrame:
    """Correlations of the factors, one row a pair (variances are 1)."""
    table = fit.tidy()
    latent = set(table[table["op"] == "=~"]["lhs"])
    rows = table[(table["op"] == "~~") & (table["lhs"] != table["rhs"]) & table["lhs"].isin(latent)]
    rows = rows[rows["rhs"].isin(latent)]
    return pd.DataFrame({"first": rows["lhs"], "second": rows["rhs"], "r": rows["est"].astype(float)}).reset_index(
        drop=True
    )


def _method_result(
    data: Any,
    fits: Mapping[str, Any],
    tests: Sequence[tuple[str, str, str]],
    pair: tuple[str, str],
    name: str,
    items: Sequence[str],
    title: str,
    settings: Mapping[str, Any],
) -> MethodFactor:
    kept = ["chi2", "df", "cfi", "rmsea", "srmr", "bic", "converged", "admissible"]
    table = pd.DataFrame([{"model": model, **fit.glance()[kept].iloc[0].to_dict()} for model, fit in fits.items()])
    rows, found = [], []
    for words, narrow, wide in tests:
        row = compare(fits[narrow], fits[wide]).glance().iloc[0]
        rows.append([words, row["delta_chi2"], row["delta_df"], row["p_value"]])
    for model, fit in fits.items():
        if not fit.glance()["admissible"].iloc[0]:
            found.append(
                Diagnostic("Inadmissible", f"The model '{model}' is not admissible; do not read it.", "warning")
            )
    return MethodFactor(
        fits=dict(fits),
        table=table,
        tests=pd.DataFrame(rows, columns=["test", "delta_chi2", "delta_df", "p_value"]),
        share=_method_share(fits[pair[1]], name, items),
        before=pair[0],
        after=pair[1],
        method=name,
        settings=dict(settings),
        diagnostics=tuple(found),
        provenance=getattr(data, "provenance", "yours"),
        survey=getattr(data, "survey", None),
        title=title,
    )


def _method_share(fit: Any, name: str, items: Sequence[str]) -> float:
    """Mean squared standardised loading of the items on the method factor."""
    table = fit.tidy(standardized=True)
    rows = table[(table["op"] == "=~") & (table["lhs"] == name) & table["rhs"].isin(items)]
    return float((rows["std_all"].astype(float) ** 2).mean())


# --- description ----------------------------------------------------------------------------------------------------


def harman(data: Any, items: str | Sequence[str] | None = None) -> pd.DataFrame:
    """The share of the items' variance on one unrotated factor: Harman's description, which tests nothing.

    Parameters
    ----------
    data, items : as in `efa`

    Returns
    -------
    DataFrame of one row: n_items, first_eigenvalue_share (components), one_factor_share (minres), note
    """
    fit = efa(data, items, factors=1, rotation="none")
    loadings = np.asarray(fit.loadings, float)
    eigenvalues = np.asarray(fit.eigenvalues, float)
    words = "A large share proves no method bias and a small one excludes none (Podsakoff et al., 2003)."
    row = [loadings.shape[0], float(eigenvalues[0] / eigenvalues.sum()), float((loadings**2).mean()), words]
    return pd.DataFrame([row], columns=["n_items", "first_eigenvalue_share", "one_factor_share", "note"])
