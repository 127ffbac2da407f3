"""One question, one formula: `regress` fits it and says how certain each coefficient is.

To add a model, write a function from a `Design` and `Choices` to a `Fitted` and put @model above it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from cocoanalysis.arguments import names_of, seed_number, share, whole
from cocoanalysis.errors import Diagnostic, ModelError, listed, one_of
from cocoanalysis.propositions import multilevel, ordinal
from cocoanalysis.propositions.design import Design, build, faults, scales
from cocoanalysis.propositions.vcov import (
    COVARIANCES,
    FEW_CLUSTERS,
    LEAST_CLUSTERS,
    Certainty,
    Options,
    Sample,
    cluster_sums,
    t_statistics,
)
from cocoanalysis.responses.disclosure import WITHHELD, current, free, safe_table
from cocoanalysis.responses.ledger import fingerprint, origin_of_rows
from cocoanalysis.result import Result
from cocoanalysis.threads import in_one_thread

COLUMNS = ["term", "est", "se", "statistic", "df", "p_value", "ci_lower", "ci_upper", "est_std"]


@dataclass(frozen=True)
class Choices:
    """How a regression is fitted, every default spelled out."""

    model: str
    vcov: str
    options: Options
    random: tuple[str, ...] = ()
    link: str = "logit"


class Fitted(NamedTuple):
    """What a model gives back: terms, estimates, their certainty, one-row numbers, and what to know of it."""

    terms: tuple[str, ...]
    estimates: np.ndarray
    certainty: Certainty
    numbers: Mapping[str, Any]
    residuals: np.ndarray
    diagnostics: tuple[Diagnostic, ...] = ()


class Model(NamedTuple):
    fit: Callable[[Design, Choices], Fitted]
    vcov: tuple[str, ...]  # the first is the default without clusters
    source: str


MODELS: dict[str, Model] = {}


def model(
    name: str, vcov: Sequence[str], source: str
) -> Callable[[Callable[[Design, Choices], Fitted]], Callable[[Design, Choices], Fitted]]:
    def register(function: Callable[[Design, Choices], Fitted]) -> Callable[[Design, Choices], Fitted]:
        MODELS[name] = Model(function, tuple(vcov), source)
        return function

    return register


@dataclass(frozen=True, repr=False)
class Regression(Result):
    """A fitted regression: `tidy()` one row a coefficient, `glance()` one row, `equation` in words."""

    formula: str
    terms: tuple[str, ...]
    estimates: np.ndarray
    certainty: Certainty
    scales: np.ndarray
    numbers: Mapping[str, Any]
    design: Design
    residuals: np.ndarray
    diagnostics: tuple[Diagnostic, ...] = ()
    provenance: str = "yours"
    survey: Any = None
    level: float = 0.95
    settings: Mapping[str, Any] = field(default_factory=dict)
    title: str = "Regression"

    @property
    def identified(self) -> bool:
        return bool(self.numbers["identified"])

    @property
    def converged(self) -> bool:
        return bool(self.numbers["converged"])

    @property
    def ledger(self) -> pd.DataFrame:
        return self.design.ledger

    @property
    def fingerprint(self) -> str:
        """A hash of which rows were used; equal for two regressions on the same rows of the same responses."""
        return fingerprint(self.design.rows, origin_of_rows(self.ledger))

    @property
    def covariance(self) -> pd.DataFrame:
        """Covariance of the coefficients, by name."""
        return pd.DataFrame(self.certainty.matrix, self.terms, self.terms)

    def people_by_row(self) -> np.ndarray:
        """How many people a coefficient rests on: of a category, those in it (or outside, if fewer), else all."""
        x = self.design.regressors
        if x.shape[1] != len(self.terms):
            return np.full(len(self.terms), float(len(x)))
        inside = (x != 0).sum(axis=0)
        category = np.array(["[T." in term for term in self.terms])
        return np.where(category, np.minimum(inside, len(x) - inside), len(x)).astype(float)

    def _shown(self) -> pd.DataFrame:
        """Of real answers, without the categories of few people."""
        table = self.tidy().assign(people=self.people_by_row())
        safe = safe_table(table, provenance=self.provenance, counts="people", names=["term"], total=False)
        return safe.shown().drop(columns="people")

    def tidy(self) -> pd.DataFrame:
        """One row a coefficient, in the formula's order.

        `est_std` is the coefficient times the SD of its column over the SD of the outcome *at the column's level*:
        within(x) against the outcome within clusters, between(x) against the outcome's cluster means.
        """
        se = np.sqrt(np.diag(self.certainty.matrix))
        statistic, p_value, lower, upper = t_statistics(self.estimates, se, self.certainty.df, self.level)
        if self.certainty.p_value is not None and self.certainty.interval is not None:
            p_value, (lower, upper) = self.certainty.p_value, self.certainty.interval.T
        standardised = self.estimates * self.scales
        columns = [self.terms, self.estimates, se, statistic, self.certainty.df, p_value, lower, upper, standardised]
        return pd.DataFrame(dict(zip(COLUMNS, columns)))

    def glance(self) -> pd.DataFrame:
        return pd.DataFrame([{"formula": self.formula, **self.settings, **self.numbers}])

    @property
    def equation(self) -> str:
        """The fitted equation, with the estimates in place; of real answers, without those of few people."""
        few = self.people_by_row() < (0 if free(self.provenance) else current().cell)
        slopes = [
            f"+ {WITHHELD}{_factor(term)}" if hidden else f"{_signed(estimate, first=place == 0)}{_factor(term)}"
            for place, (term, estimate, hidden) in enumerate(zip(self.terms, self.estimates, few))
        ]
        return f"{self.design.outcome_name} = {' '.join(slopes)}" + (
            " + u" if self.settings["model"] == "mixed" else ""
        )

    def notes(self) -> list[str]:
        kept = f"{self.design.n_dropped} row(s) left out as incomplete; {self.numbers['n']} used."
        told = [str(d) for d in self.diagnostics]
        return [*super().notes(), f"{self.settings['model']}, {self.settings['vcov']} errors. {kept}", *told]


def _signed(value: float, *, first: bool) -> str:
    return f"{value:.3f}" if first else f"{'−' if value < 0 else '+'} {abs(value):.3f}"


def _factor(term: str) -> str:
    return "" if term == "Intercept" else f"·{term}"


@in_one_thread
def regress(
    formula: str,
    data: Any,
    *,
    model: str = "ols",
    vcov: str | None = None,
    cluster: str | Sequence[str] | bool | None = None,
    random: str | Sequence[str] = (),
    link: str = "logit",
    level: float = 0.95,
    draws: int = 9999,
    seed: int = 0,
) -> Regression:
    """Regress an outcome on predictors, with errors that suit clustered answers.

    Parameters
    ----------
    formula : 'outcome ~ within(x) + between(x) + domain': names of scores, items, background questions or columns.
        within(x) and between(x) are x minus its cluster mean and that mean; center(x), C(x), a:b and a*b as usual.
    data : Responses (scores by the instrument's rule, items by their keys) or DataFrame
    model : ols, mixed (random intercept by cluster, REML), logit, ordered (cumulative link)
    vcov : classical, HC0–HC3, cluster (as Stata, df G − 1), CR0–CR3 (Satterthwaite df), wild (bootstrap with the null
        imposed, interval by inversion). None takes HC3, and with clusters CR2; mixed and ordered models take
        their own covariance ('classical'), an ordered model with clusters 'cluster'.
    cluster : column(s) that name the clusters; None takes the survey's cluster where data are Responses; False none.
        Two columns give two-way clustering ('cluster', the default then, or CR0–CR3).
    random : with model='mixed', terms with a random slope as they stand in the formula, 'x', '1 + x' or a list
    link : with model='ordered', logit or probit
    level : coverage of the intervals
    draws, seed : of the wild bootstrap

    Returns
    -------
    Regression. Predictors that cannot be told apart, too few rows, perfect separation or no convergence are
    `.diagnostics` and leave the estimates missing.

    Raises
    ------
    ModelError : FormulaSyntax, UnknownVariable, UnknownChoice, NoCluster, OneCluster, NoCompleteRows

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"y": [1.0, 2, 4, 3, 5, 6], "x": [0.0, 1, 2, 2, 3, 4]})
    >>> regress("y ~ x", table).tidy()["est"].round(3).tolist()
    [0.9, 1.3]
    """
    one_of(model, MODELS, "model")
    clusters = _cluster_columns(cluster, data)
    vcov = _vcov(vcov, model, clusters)
    one_of(link, ordinal.LINKS, "link")
    share(level, "level")
    whole(draws, "draws", 1)
    seed_number(seed)
    slopes = _random_slopes(random)
    choices = Choices(model, vcov, Options(level, draws, seed), slopes, link)
    design = build(formula, data, clusters, ordered=model == "ordered")
    _check_clusters(design, choices)
    fitted = fit(design, choices)
    settings: dict[str, Any] = {"model": model, "vcov": vcov, "cluster": " × ".join(clusters) or None}
    settings |= {"link": link} if model == "ordered" else {}
    settings |= {"draws": draws, "seed": seed} if vcov == "wild" else {}
    return Regression(
        formula=formula,
        terms=fitted.terms,
        estimates=fitted.estimates,
        certainty=fitted.certainty,
        scales=_scales(fitted.terms, design),
        numbers=fitted.numbers,
        design=design,
        residuals=fitted.residuals,
        diagnostics=(*fitted.diagnostics, *_cautions(design, choices)),
        provenance=getattr(data, "provenance", "yours"),
        survey=getattr(data, "survey", None),
        level=level,
        settings=settings,
    )


def fit(design: Design, choices: Choices) -> Fitted:
    """The chosen model on finished matrices; a design that is not identified gives missing estimates and the reason."""
    found = faults(design)
    if found:
        return _unfitted(design, tuple(found), identified=False)
    return MODELS[choices.model].fit(design, choices)


def _unfitted(
    design: Design, diagnostics: tuple[Diagnostic, ...], *, identified: bool, terms: Sequence[str] = ()
) -> Fitted:
    terms = tuple(terms or design.terms)
    nothing = np.full(len(terms), np.nan)
    numbers = _counts(design) | {"identified": identified, "converged": False}
    certainty = Certainty(np.full((len(terms), len(terms)), np.nan), nothing)
    return Fitted(terms, nothing, certainty, numbers, np.full(len(design.outcome), np.nan), diagnostics)


def _counts(design: Design) -> dict[str, Any]:
    groups = [int(codes.max()) + 1 for codes in design.clusters]
    return {
        "n": len(design.outcome),
        "n_dropped": design.n_dropped,
        "n_clusters": min(groups) if groups else None,
        "n_parameters": design.regressors.shape[1],
    }


def _random_slopes(random: str | Sequence[str]) -> tuple[str, ...]:
    """The terms with a random slope; '1' is the random intercept, which is always there."""
    terms = [part.strip() for part in random.split("+")] if isinstance(random, str) else list(random)
    return tuple(term for term in terms if term not in ("", "1"))


def _cluster_columns(cluster: str | Sequence[str] | bool | None, data: Any) -> tuple[str, ...]:
    if cluster is None:
        own = getattr(getattr(data, "survey", None), "cluster", None)
        return (own,) if own and own in data.frame.columns else ()
    if isinstance(cluster, bool):
        return ()
    return names_of(cluster, "cluster")


def _vcov(vcov: str | None, model: str, clusters: tuple[str, ...]) -> str:
    allowed = MODELS[model].vcov
    if vcov is None:
        if not clusters:
            return allowed[0]
        wanted = "cluster" if len(clusters) > 1 else "CR2"
        return next(name for name in (wanted, "cluster" if model != "mixed" else "", allowed[0]) if name in allowed)
    one_of(vcov, COVARIANCES, "vcov")
    return one_of(vcov, allowed, f"vcov for model '{model}'")


def _check_clusters(design: Design, choices: Choices) -> None:
    kind = COVARIANCES[choices.vcov]
    if (kind.clustered or choices.model == "mixed") and not design.clusters:
        raise ModelError(
            f"model '{choices.model}' with vcov '{choices.vcov}' needs clusters: pass cluster='the column that names "
            "them'.",
            code="NoCluster",
        )
    if len(design.clusters) > 1 and not kind.several:
        raise ModelError(
            f"vcov '{choices.vcov}' takes one dimension of clusters, and {listed(design.cluster_names)} came; for "
            "two-way clustering take vcov='cluster'.",
            code="SeveralClusters",
        )
    if design.clusters and min(int(codes.max()) for codes in design.clusters) < 1:
        raise ModelError(
            f"All complete rows lie in one cluster of {listed(design.cluster_names)}; errors between clusters cannot "
            "be told from one. Drop cluster, or add data.",
            code="OneCluster",
        )


def _cautions(design: Design, choices: Choices) -> list[Diagnostic]:
    if not design.clusters:
        return []
    sizes = min((np.bincount(codes) for codes in design.clusters), key=len)
    kind, found = COVARIANCES[choices.vcov], []
    if not kind.clustered and choices.model != "mixed":
        text = f"The rows lie in {sizes.size} clusters, and {choices.vcov} treats them as independent; take vcov='CR2'."
        found.append(Diagnostic("ClustersIgnored", text, "warning"))
    elif sizes.size < FEW_CLUSTERS and not kind.small_sample and choices.model != "mixed":
        text = f"{sizes.size} clusters are few for vcov='{choices.vcov}'; below {FEW_CLUSTERS} take CR2 or wild."
        found.append(Diagnostic("FewClusters", text, "warning"))
    if sizes.size < LEAST_CLUSTERS and (kind.clustered or choices.model == "mixed"):
        text = (
            f"{sizes.size} clusters cannot carry a test: the errors between so few are guesses; a bootstrap has "
            f"only {2**sizes.size} sign patterns. Read the estimates as descriptions."
        )
        found.append(Diagnostic("TooFewClusters", text, "warning"))
    if (sizes == 1).any():
        text = f"{int((sizes == 1).sum())} cluster(s) have one row; they say nothing about differences within clusters."
        found.append(Diagnostic("SingletonClusters", text, "warning"))
    return found


def _scales(terms: tuple[str, ...], design: Design) -> np.ndarray:
    known = dict(zip(design.terms, scales(design)))
    return np.array([known.get(term, np.nan) for term in terms])


# --- the models -----------------------------------------------------------------------------------------------------

SANDWICHES = ["HC3", "classical", "HC0", "HC1", "HC2", "cluster", "CR0", "CR1", "CR2", "CR3"]


@model("ols", [*SANDWICHES, "wild"], "least squares")
def ols(design: Design, choices: Choices) -> Fitted:
    x, y = design.regressors, design.outcome
    estimates = least_squares(x, y)
    residuals = y - x @ estimates
    sample = Sample(x, residuals, estimates, design.clusters)
    certainty = COVARIANCES[choices.vcov].compute(sample, choices.options)
    return Fitted(design.terms, estimates, certainty, _ols_numbers(design, residuals), residuals)


def least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coefficients by QR with one step of iterative refinement."""
    q, r = np.linalg.qr(x)
    estimates = np.linalg.solve(r, q.T @ y)
    return estimates + np.linalg.solve(r, q.T @ (y - x @ estimates))


def _ols_numbers(design: Design, residuals: np.ndarray) -> dict[str, Any]:
    n, p = design.regressors.shape
    constant = "Intercept" in design.terms
    total = design.outcome - design.outcome.mean() if constant else design.outcome
    rss, tss = float(residuals @ residuals), float(total @ total)
    loglik = -n / 2 * (np.log(2 * np.pi * rss / n) + 1) if rss > 0 else np.inf
    model_df = p - constant
    f = (tss - rss) / model_df / (rss / (n - p)) if model_df else np.nan
    return _counts(design) | {
        "df_residual": n - p,
        "r_squared": 1 - rss / tss,
        "r_squared_adjusted": 1 - rss / (n - p) / (tss / (n - constant)),
        "sigma": np.sqrt(rss / (n - p)),
        "f_statistic": f,
        "f_p_value": stats.f.sf(f, model_df, n - p) if model_df else np.nan,
        "loglik": loglik,
        "aic": -2 * loglik + 2 * (p + 1),
        "bic": -2 * loglik + np.log(n) * (p + 1),
        "identified": True,
        "converged": True,
    }


@model("logit", SANDWICHES, "binomial regression with logit link, iteratively reweighted (statsmodels)")
def logit(design: Design, choices: Choices) -> Fitted:
    x, y = design.regressors, design.outcome
    values = np.unique(y)
    if not np.isin(values, [0, 1]).all():
        raise ModelError(
            f"A logit model needs an outcome coded 0 and 1; '{design.outcome_name}' has {values.size} values. "
            "Recode it, or take model='ordered'.",
            code="NotBinary",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # separation and convergence are judged below, by the data
        fitted = sm.GLM(y, x, family=sm.families.Binomial()).fit(maxiter=100, tol=1e-14, tol_criterion="deviance")
    trouble = _separation(design, x, y.astype(int), x @ fitted.params, bool(fitted.converged))
    if trouble:
        return _unfitted(design, (trouble,), identified=trouble.code != "PerfectSeparation")
    mean = fitted.mu
    weight = np.sqrt(mean * (1 - mean))
    sample = Sample(x * weight[:, None], (y - mean) / weight, np.asarray(fitted.params), design.clusters)
    certainty = COVARIANCES[choices.vcov].compute(sample, choices.options)
    if choices.vcov == "classical":
        certainty = Certainty(sample.spread(np.eye(sample.p)), certainty.df)
    if not COVARIANCES[choices.vcov].clustered:
        certainty = certainty._replace(df=np.full(sample.p, np.inf))
    numbers = _counts(design) | _likelihood(float(fitted.llf), x.shape[1], len(y))
    numbers |= {"mcfadden_r_squared": 1 - fitted.llf / fitted.llnull, "identified": True, "converged": True}
    return Fitted(design.terms, np.asarray(fitted.params), certainty, numbers, y - mean)


def _likelihood(loglik: float, parameters: int, n: int) -> dict[str, Any]:
    aic, bic = -2 * loglik + 2 * parameters, -2 * loglik + np.log(n) * parameters
    return {"loglik": loglik, "aic": aic, "bic": bic}


def _separation(
    design: Design, slopes: np.ndarray, categories: np.ndarray, reach: np.ndarray, converged: bool
) -> Diagnostic | None:
    """Named when the data let a coefficient run off; the exact search is run only when the fit looks like it."""
    if converged and np.abs(reach).max() < 8:
        return None
    keep = [k for k, term in enumerate(design.terms) if term != "Intercept"]
    direction = ordinal.separating(slopes[:, keep], categories)
    if direction is not None:
        names = [design.terms[k] for k, value in zip(keep, direction) if abs(value) > 1e-6]
        return Diagnostic(
            "PerfectSeparation",
            f"The outcome '{design.outcome_name}' is separated perfectly by {listed(names)}: the likelihood has no "
            "maximum and a printed coefficient would only show where the search stopped. Merge rare categories, leave "
            "the predictor out, or use a penalised (Firth, 1993) or exact logistic regression.",
        )
    return None if converged else Diagnostic("NotConverged", "The likelihood's maximum was not reached in 50 steps.")


@model("ordered", ["classical", "HC0", "cluster"], "cumulative link, McCullagh, 1980; observed information")
def ordered(design: Design, choices: Choices) -> Fitted:
    keep = [k for k, term in enumerate(design.terms) if term != "Intercept"]
    x, categories = design.regressors[:, keep], design.outcome.astype(int)
    found = ordinal.fit_ordinal(x, categories, choices.link)
    labels = [f"{low}|{high}" for low, high in zip(design.categories, design.categories[1:])]
    terms = (*(design.terms[k] for k in keep), *labels)
    trouble = _separation(design, design.regressors, categories, x @ found.estimates[: len(keep)], found.converged)
    if trouble:
        return _unfitted(design, (trouble,), identified=trouble.code != "PerfectSeparation", terms=terms)
    matrix, df = _ordered_certainty(found, design, choices.vcov)
    numbers = _counts(design) | _likelihood(found.loglik, len(terms), len(categories))
    numbers |= {"n_parameters": len(terms), "identified": True, "converged": True}
    return Fitted(terms, found.estimates, Certainty(matrix, df), numbers, np.full(len(categories), np.nan))


def _ordered_certainty(found: ordinal.Ordinal, design: Design, vcov: str) -> tuple[np.ndarray, np.ndarray]:
    bread, df = np.linalg.inv(found.information), np.full(len(found.estimates), np.inf)
    if vcov == "classical":
        return bread, df
    if vcov == "HC0":
        return bread @ (found.scores.T @ found.scores) @ bread, df
    codes = design.clusters[0]
    groups = int(codes.max()) + 1
    sums = cluster_sums(found.scores, codes)
    return groups / (groups - 1) * bread @ (sums.T @ sums) @ bread, np.full(len(df), groups - 1.0)


@model("mixed", ["classical"], "restricted maximum likelihood; Satterthwaite df, Kuznetsova et al., 2017")
def mixed(design: Design, choices: Choices) -> Fitted:
    missing = [name for name in choices.random if name not in design.terms]
    if missing:
        raise ModelError(
            f"The random slope(s) {listed(missing)} must be terms of the formula, spelled as there; its terms are "
            f"{listed(design.terms, 30)}.",
            code="UnknownRandomSlope",
        )
    columns = [design.regressors[:, design.terms.index(name)] for name in choices.random]
    z = np.column_stack([np.ones(len(design.outcome)), *columns])
    found = multilevel.fit_mixed(design.outcome, design.regressors, z, design.clusters[0])
    notes = []
    if not found.converged:
        notes.append(Diagnostic("NotConverged", "The restricted likelihood's maximum was not reached."))
    if found.singular:
        text = "A variance of the random effects is estimated at zero, or two of them as perfectly correlated."
        notes.append(Diagnostic("SingularRandomEffects", text, "warning"))
    variances = dict(zip(["(cluster)", *choices.random], np.diag(found.random)))
    numbers = _counts(design) | {
        "tau2": found.random[0, 0],
        "sigma2": found.residual,
        "icc": found.random[0, 0] / (found.random[0, 0] + found.residual) if len(variances) == 1 else np.nan,
        "random_variances": variances,
        "loglik": found.loglik,
        "identified": True,
        "converged": found.converged,
    }
    residuals = design.outcome - design.regressors @ found.estimates
    return Fitted(
        design.terms, found.estimates, Certainty(found.covariance, found.df), numbers, residuals, tuple(notes)
    )
