"""From a formula and a table to the matrices of a regression, with every dropped row accounted for.

`within(x)` and `between(x)` split a predictor into its deviation from the cluster's mean and
that mean (Mundlak, 1978); `center(x)` subtracts the overall mean. All three are computed on
the rows that the regression uses.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import formulaic
import numpy as np
import pandas as pd
from formulaic.errors import FormulaicError
from scipy import linalg

from cocoanalysis.arguments import shown
from cocoanalysis.errors import Diagnostic, ModelError, listed, suggestion
from cocoanalysis.responses.selection import as_frame, numeric

BACKTICKS = re.compile(r"`([^`]+)`")
LEDGER = ["step", "rule", "rows", "cells", "n_before", "n_after", "origin"]


@dataclass(frozen=True)
class Design:
    """Outcome (n,), regressors (n, p) with their names, cluster codes, and what became of the other rows."""

    outcome: np.ndarray
    regressors: np.ndarray
    terms: tuple[str, ...]
    clusters: tuple[np.ndarray, ...]
    outcome_name: str
    rows: pd.Index
    ledger: pd.DataFrame
    frame: pd.DataFrame
    cluster_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()  # of an ordered outcome

    @property
    def n_dropped(self) -> int:
        last = self.ledger.iloc[-1]
        return int(last["n_before"] - last["n_after"])


def variables(data: Any, names: Sequence[str]) -> pd.DataFrame:
    """The named scores, items, background questions or columns, as float64 or as categoricals.

    With Responses a construct, block score or defined score comes as the instrument scores it,
    an item by its key, and a background question with its reference category first.
    """
    survey = getattr(data, "survey", None)
    if survey is None:
        frame = as_frame(data)
        return pd.DataFrame({name: _plain(_column(frame, name)) for name in names}, index=frame.index)
    scored = [name for name in names if name in survey.constructs or name in survey.scores]
    items = [name for name in names if name in survey.items and name not in scored]
    found: dict[str, pd.Series] = {}
    if scored:
        scores = data.scores(scored)
        found |= {name: scores[name] for name in scored}
    if items:
        answers = data.items(items, keyed=True)
        found |= {name: answers[name] for name in items}
    table = data.frame
    for name in names:
        if name not in found:
            known = [*survey.scores, *survey.constructs, *table.columns]
            found[name] = _background(_column(table, name, known), survey.background.get(name))
    return pd.DataFrame({name: _plain(found[name]) for name in names}, index=table.index)


def _column(frame: pd.DataFrame, name: str, known: Iterable[str] | None = None) -> pd.Series:
    if name in frame.columns:
        return frame[name]
    known = list(frame.columns if known is None else known)
    raise ModelError(
        f"There is no variable '{name}' in the data.{suggestion(name, known)} The data have {listed(known)}.",
        code="UnknownVariable",
    )


def _background(column: pd.Series, question: Any) -> pd.Series:
    """A categorical background question with its categories in the file's order, the reference first."""
    if question is None or getattr(question, "kind", None) != "categorical":
        return column
    codes = [str(code) for code in question.categories]
    reference = getattr(question, "reference", None)
    if reference is not None:
        codes = [str(reference), *(code for code in codes if code != str(reference))]
    text = column.astype("string").astype(object)
    present = set(text.dropna())
    return pd.Series(pd.Categorical(text, [code for code in codes if code in present]), column.index, name=column.name)


def _plain(column: pd.Series) -> pd.Series:
    """Numbers as float64, everything else as a categorical without unused categories."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories()
    if pd.api.types.is_numeric_dtype(dtype):
        return pd.Series(numeric(column), column.index, name=column.name)
    text = column.astype(object)
    numbers = pd.to_numeric(text, errors="coerce")
    if len(text) and (numbers.notna() == text.notna()).all():
        return pd.Series(numeric(column), column.index, name=column.name)
    return pd.Series(pd.Categorical(text.where(text.notna())), column.index, name=column.name)


def build(
    formula: str, data: Any, cluster: Sequence[str] = (), *, ordered: bool = False, extra: Sequence[str] = ()
) -> Design:
    """The matrices of ``formula`` on the rows that are complete in all its variables and in the cluster columns."""
    parsed = _parse(formula)
    names = sorted({name for side in (parsed.lhs, parsed.rhs) for term in side for name in _named(term)})
    names += [name for name in extra if name not in names]
    frame = variables(data, names)
    groups = {name: _column(_table(data), name) for name in cluster}
    complete = frame.notna().all(axis=1)
    for column in groups.values():
        complete &= column.notna().to_numpy()
    used = _without_unused(frame[complete.to_numpy()])
    if used.empty:
        raise ModelError(
            f"No row of the data is complete in all of {listed([*names, *cluster])}, so there is nothing to fit.",
            code="NoCompleteRows",
        )
    codes = tuple(pd.factorize(groups[name][complete.to_numpy()], sort=True)[0] for name in cluster)
    categories: tuple[str, ...] = ()
    if ordered:
        used, categories = _ordered_outcome(used, str(parsed.lhs))
    outcome, regressors = _matrices(formula, used, codes)
    text = str(parsed.lhs) in used and isinstance(used[str(parsed.lhs)].dtype, pd.CategoricalDtype)
    if outcome.shape[1] != 1 or text:
        raise ModelError(
            f"The outcome '{parsed.lhs}' holds text with {outcome.shape[1]} categories; a regression needs a number. "
            "Recode it, or give model='ordered' an ordered categorical.",
            code="NotANumber",
        )
    if not regressors.shape[1]:
        raise ModelError(
            f"The formula '{formula}' leaves no term to estimate; write a predictor, or 1 for the mean alone.",
            code="FormulaSyntax",
        )
    return Design(
        outcome.to_numpy(float).ravel(),
        regressors.to_numpy(float),
        tuple(map(str, regressors.columns)),
        codes,
        str(outcome.columns[0]),
        used.index,
        _ledger(data, [*names, *cluster], len(frame), len(used)),
        used,
        tuple(cluster),
        categories,
    )


def _named(term: Any) -> Iterator[str]:
    """The variables of a term: every name in its factors that is not called as a function."""
    for factor in term.factors:
        if factor.eval_method.value == "lookup":
            yield factor.expr
        elif factor.eval_method.value == "python":
            yield from BACKTICKS.findall(factor.expr)
            yield from _names(BACKTICKS.sub("0", factor.expr))


def _names(expression: str) -> Iterator[str]:
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError:
        return  # formulaic says what is wrong when it evaluates the factor
    called = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Call) for inner in ast.walk(node.func)}
    yield from (n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called | _contrasts(tree))


def _contrasts(tree: ast.AST) -> set[int]:
    """What stands behind contr.… in C(x, contr.…) is a coding, no variable."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {id(inner) for node in attributes for inner in ast.walk(node)}


def _without_unused(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories that no complete row has would be columns of zeros."""
    present = {
        n: c.cat.remove_unused_categories() for n, c in frame.items() if isinstance(c.dtype, pd.CategoricalDtype)
    }
    return frame.assign(**{str(name): column for name, column in present.items()})


def _table(data: Any) -> pd.DataFrame:
    return as_frame(data) if getattr(data, "survey", None) is None else data.frame


def _parse(formula: str) -> Any:
    if not isinstance(formula, str):
        raise ModelError(
            f"A formula is a text such as 'outcome ~ x + z'; {shown(formula)} came. The formula is the first argument, "
            "the data the second.",
            code="FormulaSyntax",
        )
    if formula.count("~") == 1 and not formula.split("~")[1].strip():
        raise ModelError(
            f"Nothing stands after '~' in the formula '{formula}'; write at least one term, or 1 for the mean alone.",
            code="FormulaSyntax",
        )
    try:
        parsed = formulaic.Formula(formula)
        sides = parsed.lhs, parsed.rhs
    except (FormulaicError, SyntaxError, AttributeError):
        raise ModelError(
            f"The formula '{formula}' cannot be read: it needs an outcome, '~' and terms joined by '+', ':' or '*', "
            "such as 'outcome ~ within(x) + between(x) + domain'.",
            code="FormulaSyntax",
        ) from None
    if any(not hasattr(term, "factors") for side in sides for term in side):  # such as 'y ~ a | b', which has parts
        raise ModelError(
            f"The formula '{formula}' has several parts, parted by '|' or '~'; write one outcome, '~' and terms joined "
            "by '+', ':' or '*'. Random effects are named with cluster= and random=.",
            code="FormulaSyntax",
        )
    if len(sides[0]) != 1:
        raise ModelError(f"The formula '{formula}' must name exactly one outcome before '~'.", code="FormulaSyntax")
    _refuse_itself(formula, str(sides[0]), {str(factor) for term in sides[1] for factor in term.factors})
    return parsed


def _refuse_itself(formula: str, outcome: str, factors: set[str]) -> None:
    if factors & {outcome, f"center({outcome})", f"within({outcome})"}:
        raise ModelError(
            f"'{outcome}' stands on both sides of the formula '{formula}': it would explain itself. Leave it out on "
            "the right.",
            code="SelfReference",
        )


def _ordered_outcome(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    column = frame[name]
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = pd.Series(pd.Categorical(column), column.index)
    present = column.cat.remove_unused_categories().cat
    codes = present.codes.astype(float)
    return frame.assign(**{name: codes}), tuple(_tidy_label(label) for label in present.categories)


def _tidy_label(label: object) -> str:
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _matrices(formula: str, used: pd.DataFrame, codes: tuple[np.ndarray, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    def between(x: pd.Series) -> pd.Series:
        if not codes:
            raise ModelError(
                "within(…) and between(…) need to know the clusters: pass cluster='the column that names them'.",
                code="NoCluster",
            )
        return x.groupby(codes[0]).transform("mean")

    context = {"between": between, "within": lambda x: x - between(x), "center": lambda x: x - x.mean()}
    try:
        matrices = formulaic.model_matrix(formula, used, context=context, na_action="raise")
    except (FormulaicError, SyntaxError, TypeError, ValueError) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ModelError):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise ModelError(
            f"The formula '{formula}' cannot be evaluated on these data ({type(error).__name__}): functions are "
            "within, between, center, C and those of numpy as np.…, and the outcome must be a number.",
            code="FormulaSyntax",
        ) from None
    return pd.DataFrame(matrices.lhs), pd.DataFrame(matrices.rhs)


def _ledger(data: Any, names: Sequence[str], before: int, after: int) -> pd.DataFrame:
    row = pd.DataFrame(
        [["regress", f"complete in {listed(names, 40)}", before - after, 0, before, after, "plan"]], columns=LEDGER
    )
    earlier = getattr(data, "ledger", None)
    return row if earlier is None or not len(earlier) else pd.concat([earlier, row], ignore_index=True)


# --- what the matrices can carry ------------------------------------------------------------------------------------


def faults(design: Design) -> list[Diagnostic]:
    """Why the model is not identified on these rows: too few of them, a constant outcome, dependent predictors."""
    n, p = design.regressors.shape
    if n <= p:
        return [Diagnostic("TooFewRows", f"{n} complete rows cannot carry {p} coefficients; take fewer predictors.")]
    if np.ptp(design.outcome) == 0:
        return [Diagnostic("ConstantOutcome", f"The outcome '{design.outcome_name}' has one value in all {n} rows.")]
    return [
        Diagnostic(
            "CollinearPredictors",
            f"The terms {listed(group, 30)} are linearly dependent ({_why_dependent(group)}), so their coefficients "
            "cannot be told apart; leave one of them out.",
        )
        for group in dependent_sets(design.regressors, design.terms)
    ]


def _why_dependent(group: tuple[str, ...]) -> str:
    constant = len(group) == 1 or (len(group) == 2 and "Intercept" in group)
    return f"{group[-1]} is constant in these rows" if constant else "each follows from the others"


def dependent_sets(regressors: np.ndarray, terms: Sequence[str], tolerance: float = 1e-9) -> list[tuple[str, ...]]:
    """Names of the columns in each linear dependency, found by a pivoted QR of the columns at unit length."""
    length = np.linalg.norm(regressors, axis=0)
    zero: list[tuple[str, ...]] = [(terms[int(k)],) for k in np.flatnonzero(length == 0)]
    keep = np.flatnonzero(length > 0)
    upper, order = linalg.qr(regressors[:, keep] / length[keep], mode="r", pivoting=True)[0:2]
    size = np.abs(np.diag(upper))
    rank = int((size > tolerance * size[0]).sum())
    if rank == keep.size:
        return zero
    weights = linalg.solve_triangular(upper[:rank, :rank], upper[:rank, rank:])
    sets = []
    for column, extra in zip(weights.T, order[rank:]):
        members = sorted([*order[:rank][np.abs(column) > 1e-7], extra])
        sets.append(tuple(terms[int(keep[k])] for k in members))
    return zero + sets


def scales(design: Design) -> np.ndarray:
    """What turns each coefficient into a standardised one: SD of its column over the SD of the outcome at its level.

    A column that varies within clusters only (`within(x)`) is set against the outcome's within-cluster SD, one that is
    constant within clusters (`between(x)`, a property of the cluster) against the SD of the outcome's cluster means,
    every other one against the total SD. The intercept has none.
    """
    spread = design.regressors.std(axis=0, ddof=1)
    total = design.outcome.std(ddof=1)
    level = np.full(spread.shape, total)
    if design.clusters:
        means = cluster_means(design.regressors, design.clusters[0])
        outcome = cluster_means(design.outcome[:, None], design.clusters[0])[:, 0]
        tiny = 1e-9 * np.maximum(np.abs(design.regressors).max(axis=0), 1e-300)
        level[np.abs(design.regressors - means).max(axis=0) < tiny] = outcome.std(ddof=1)
        level[np.abs(means).max(axis=0) < tiny] = (design.outcome - outcome).std(ddof=1)
    varies = (spread > 1e-12 * np.abs(design.regressors).max(axis=0)) & (level > 0)
    return np.divide(spread, level, out=np.full(spread.shape, np.nan), where=varies)


def cluster_means(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Each row's cluster mean, for the columns of (n, p)."""
    size = np.bincount(codes)
    sums = np.column_stack([np.bincount(codes, column) for column in rows.T])
    return (sums / size[:, None])[codes]
