"""Answers, why some are missing, what was done to them, and the survey that explains them.

`Responses` never change: every verb returns new ones with one more line in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cocoanalysis.errors import Diagnostic, ResponseError, listed, one_of, suggestion
from cocoanalysis.responses import ledger as ledgers
from cocoanalysis.responses.disclosure import of_people
from cocoanalysis.responses.exclusion import matching_rows, published
from cocoanalysis.responses.ledger import Entry, entry
from cocoanalysis.responses.matching import META, REASONS
from cocoanalysis.responses.scoring import Scores, keyed, recipe, score_names, scored
from cocoanalysis.result import PROVENANCES, Result


@dataclass(frozen=True, repr=False, eq=False)
class Responses(Result):
    """Who answered what: one row a response (respondent × collaboration).

    Attributes
    ----------
    frame : DataFrame, identifiers as text, background, items as nullable integers, flags
    missing : DataFrame of the same shape, the reason of each missing cell, NA where answered
    ledger : DataFrame, one row a change: step, rule, rows, cells, n_before, n_after, origin
    survey : the survey that labels, keys and scores
    provenance : 'synthetic', 'public real' or 'yours'
    unmatched : DataFrame, columns of the file that were left out, with what they may have been
    diagnostics : facts that a reader must know
    """

    survey: Any
    answers: pd.DataFrame
    reasons: pd.DataFrame
    entries: tuple[Entry, ...] = ()
    provenance: str = "yours"
    unmatched: pd.DataFrame | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    screening: Any = None
    title: str = "Responses"

    # Making them ---------------------------------------------------------------------------

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        survey: Any,
        *,
        missing: pd.DataFrame | None = None,
        provenance: str = "yours",
        ledger: Sequence[Entry] = (),
        source: str = "a data frame",
    ) -> Responses:
        """Responses from a frame whose items already hold codes of the instrument.

        Parameters
        ----------
        frame : items as numbers (any dtype, NA where missing), identifiers and background as they are
        missing : reasons, same index; cells without one are 'skipped'

        Raises
        ------
        ResponseError : OutsideOptions, NotANumber, UnknownChoice (provenance)
        """
        one_of(provenance, PROVENANCES, "provenance", error=ResponseError, code="UnknownProvenance")
        answers = typed(frame, survey)
        outside_options(answers, survey)
        reasons = typed_reasons(answers, missing)
        first = entry("read", f"read {source}", len(answers), rows=len(answers), cells=answers.size)
        return cls(survey, answers, reasons, (first, *ledger), provenance)

    # Looking at them -----------------------------------------------------------------------

    @property
    def frame(self) -> pd.DataFrame:
        """The answers; a change to the returned table does not reach the responses."""
        return of_people(self.answers.copy(deep=False), self.provenance)

    @property
    def missing(self) -> pd.DataFrame:
        """Why cells are empty; NA where there is an answer."""
        return of_people(self.reasons.copy(deep=False), self.provenance)

    @property
    def ledger(self) -> pd.DataFrame:
        """Every change of rows and cells so far."""
        return ledgers.table(self.entries)

    @property
    def fingerprint(self) -> str:
        """A hash of which responses these are; equal for two analyses of the same rows."""
        origin = self.entries[0].rule if self.entries else ""
        return ledgers.fingerprint(self.answers.index, origin)

    @property
    def flags(self) -> list[str]:
        """The flag columns that screening has added."""
        return [name for name in self.answers.columns if str(name).startswith("flag_")]

    def __len__(self) -> int:
        return len(self.answers)

    def items(self, names: str | Iterable[str] | None = None, keyed: bool = False) -> pd.DataFrame:
        """The answers to the items of a construct, block or score as numbers, missing as NaN.

        ``keyed`` turns reverse-keyed items round by the instrument's key.

        Raises
        ------
        InstrumentError : UnknownName
        ResponseError : ItemNotRead
        """
        ids = self.survey.item_ids(names)
        absent = [id for id in ids if id not in self.answers.columns]
        if absent:
            raise ResponseError(
                f"The responses hold no column for {listed(absent)}; they were made without it.", code="ItemNotRead"
            )
        values = np.empty((len(self), len(ids)), order="F")
        for place, id in enumerate(ids):
            values[:, place] = self.answers[id].to_numpy(dtype=float, na_value=np.nan)
        if keyed:
            values = _keyed(values, [self.survey.items[id] for id in ids])
        return of_people(pd.DataFrame(values, index=self.answers.index, columns=ids), self.provenance)

    def scores(self, names: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Scores by the survey's own rules, one column a construct or defined score; NaN where too few answered.

        Raises
        ------
        ResponseError : UndefinedScore
        """
        return self.scored(names).values

    def scored(self, names: str | Iterable[str] | None = None) -> Scores:
        """The same scores with the rule, the instrument's version and the number of items behind each."""
        recipes = tuple(recipe(self.survey, name) for name in score_names(self.survey, names))
        made = {one.id: scored(one, self._keyed_answers, self.survey) for one in recipes}
        values = pd.DataFrame({id: value for id, (value, _) in made.items()}, index=self.answers.index)
        used = pd.DataFrame({id: count for id, (_, count) in made.items()}, index=self.answers.index)
        values, used = (of_people(table, self.provenance) for table in (values, used))
        ledger = ledgers.table([*self.entries, *self._turned(recipes)])
        return Scores(values, used, recipes, self.survey, ledger, self.provenance, self.diagnostics)

    def _turned(self, recipes: Iterable[Any]) -> Iterator[Entry]:
        """A line of the ledger for the reverse-keyed items of each score, which are turned round once."""
        for one in recipes:
            items = [id for id in one.items if self.survey.items[id].key < 0]
            if items:
                cells = sum(int(self.answers[id].notna().sum()) for id in items)
                yield entry("recode", f"{one.id}: {listed(items)} turned round by the key", len(self), cells=cells)

    def _keyed_answers(self, ids: Sequence[str]) -> np.ndarray:
        return self.items(ids, keyed=True).to_numpy()

    def codebook(self, language: str = "en") -> pd.DataFrame:
        """One row a column: column, kind, construct, key, question, answers, missing, source, n, n_missing."""
        return pd.DataFrame([self._explained(str(name), language) for name in self.answers.columns])

    def tidy(self) -> pd.DataFrame:
        """One row an item: item, construct, key, n, n_missing, mean, sd, skewness, kurtosis, floor, ceiling.

        Unkeyed answers; skewness and kurtosis are G1 and G2 of Joanes and Gill (1998); floor and
        ceiling are shares of the lowest and the highest answer.
        """
        return pd.DataFrame([self._described(id) for id in self.survey.item_ids() if id in self.answers.columns])

    def glance(self) -> pd.DataFrame:
        """One row: survey, version, n, clusters, items, missing (share of item cells), provenance."""
        cluster = self.survey.cluster
        ids = [id for id in self.survey.item_ids() if id in self.answers.columns]
        empty = sum(int(self.answers[id].isna().sum()) for id in ids)
        return pd.DataFrame(
            {
                "survey": [self.survey.id],
                "version": [self.survey.version],
                "n": [len(self)],
                "clusters": [self.answers[cluster].nunique() if cluster in self.answers else pd.NA],
                "items": [len(ids)],
                "missing": [empty / (len(ids) * len(self)) if ids and len(self) else np.nan],
                "provenance": [self.provenance],
            }
        )

    def notes(self) -> list[str]:
        lines = [f"{one.rule}: {one.n_before} → {one.n_after}" for one in self.entries if one.n_after < one.n_before]
        return [*super().notes(), *lines, *(str(one) for one in self.diagnostics)]

    def _shown(self) -> pd.DataFrame:
        return self.glance()

    # New ones from old -----------------------------------------------------------------------

    def screen(self, indices: str | Iterable[str] | None = None, **cutoffs: Any) -> Responses:
        """Add one flag (flag_…) for each index of careless answering; nobody is removed.

        ``indices`` and ``cutoffs`` as in `screening.screened`, whose result is kept as ``.screening``.
        """
        from cocoanalysis.responses.screening import screened

        found = screened(self, indices, **cutoffs)
        old = [name for name in [*self.flags, "careless_flags"] if name in self.answers]
        answers, reasons = self.answers.drop(columns=old), self.reasons.drop(columns=old)
        answers = pd.concat([answers, found.flags], axis=1)
        unknown = pd.DataFrame({name: _no_reason(len(self), reasons) for name in found.flags}, index=answers.index)
        lines = [entry("flag", rule, len(self), rows=count, origin="exploratory") for rule, count in found.counts()]
        return replace(
            self,
            answers=answers,
            reasons=pd.concat([reasons, unknown], axis=1),
            entries=(*self.entries, *lines),
            screening=found,
        )

    def exclude(self, rule: Any, *, origin: str = "exploratory", name: str | None = None) -> Responses:
        """Leave out the rows for which a rule is true, with a line in the ledger.

        ``rule`` is a text such as ``flag_attention`` or ``seconds < 240 and not complete`` (see
        `exclusion`), or a boolean Series by row with a ``name``. A rule that is in the ledger
        already is not applied again.

        Raises
        ------
        ResponseError : BadRule, UnknownVariable, NobodyLeft
        """
        if origin == "plan" and (name or not isinstance(rule, str)):
            raise ResponseError(
                "A plan's rule stands in the ledger as the text that it is; what is named otherwise is exploratory.",
                code="BadRule",
            )
        given = rule if isinstance(rule, str) else "rule given as a column"
        words = name or (self.told(given) if isinstance(rule, str) else given)
        done = isinstance(rule, str) and any(one.step == "exclude" and one.rule == words for one in self.entries)
        if done and (name or words == rule):
            return self
        out = matching_rows(rule, self.answers) if isinstance(rule, str) else _given(rule, self.answers.index)
        if done and not out.any():
            return self
        if out.all() and len(out):
            raise ResponseError(
                f"The rule '{words}' would leave nobody of {len(out)} responses; is it the rule you mean?",
                code="NobodyLeft",
            )
        return self.kept(~out, entry("exclude", words, len(out), rows=out.sum(), after=(~out).sum(), origin=origin))

    def told(self, rule: str) -> str:
        """A rule of exclusion as the ledger tells it, without words that may name a person."""
        questions = [one for one in self.survey.background.values() if one.categories and not one.personal]
        labels = [one.labels(language) for one in questions for language in self.survey.languages]
        words = {str(word) for pairs in labels for pair in pairs.items() for word in pair}
        return published(rule, words, {*META, *self.flags, *self.survey.items})

    def kept(self, rows: np.ndarray, *lines: Entry) -> Responses:
        """The rows where ``rows`` is true, with lines for the ledger."""
        screening = None if self.screening is None else self.screening.kept(rows)
        return replace(
            self,
            answers=self.answers[rows],
            reasons=self.reasons[rows],
            entries=(*self.entries, *lines),
            screening=screening,
        )

    def split(self, by: str | None = None, seed: int = 0) -> tuple[Responses, Responses]:
        """Two halves by whole clusters, so that nobody's colleagues sit in the other half.

        ``by`` is the cluster column of the survey unless said. In random order (``seed``), each
        cluster goes to the half that has fewer rows so far.

        Raises
        ------
        ResponseError : UnknownVariable, MissingCluster, TooFewClusters
        """
        column = self._cluster(by)
        clusters = pd.Index(self.answers[column].unique()).sort_values()
        if len(clusters) < 2:
            raise ResponseError(
                f"'{column}' has only {len(clusters)} value; a split by whole clusters needs at least two.",
                code="TooFewClusters",
            )
        sizes = self.answers[column].value_counts().reindex(clusters).to_numpy()
        chosen = _halves(sizes, np.random.default_rng(seed))
        first = self.answers[column].isin(clusters[chosen]).to_numpy(dtype=bool)
        words = f"split by {column}, seed {seed}"
        return self._half(first, f"{words}, first half"), self._half(~first, f"{words}, second half")

    def _half(self, rows: np.ndarray, words: str) -> Responses:
        return self.kept(rows, entry("split", words, len(rows), rows=(~rows).sum(), after=rows.sum()))

    def _cluster(self, by: str | None) -> str:
        column = by or self.survey.cluster
        if column is None or column not in self.answers.columns:
            raise ResponseError(
                f"There is no column '{column}' to split by.{suggestion(str(column), self.answers.columns)} "
                "Name one with by=…, or declare the cluster under 'identifiers' in survey.yaml.",
                code="UnknownVariable",
            )
        empty = int(self.answers[column].isna().sum())
        if empty:
            raise ResponseError(
                f"{empty} responses have no value in '{column}' and belong to no cluster; leave them out first with "
                "responses.exclude(…), so that the ledger says so.",
                code="MissingCluster",
            )
        return column

    # Rows of tables -----------------------------------------------------------------------------

    def _explained(self, name: str, language: str) -> dict[str, Any]:
        item, question = self.survey.items.get(name), self.survey.background.get(name)
        option = self.survey.option(name)
        question = option[0] if option else question
        holder = item.scale if item is not None else question
        labels = {} if holder is None or (question is not None and not question.categories) else holder.labels(language)
        if option:
            labels = {"true": labels[option[1]], "false": "not chosen"}
        codes = [] if holder is None else [f"{one.code} = {one.label.get(language, '')}" for one in holder.missing]
        kind = "item" if item else question.kind if question else "flag" if name.startswith("flag_") else "technical"
        meaning = META[name].meaning if name in META else ""
        return {
            "column": name,
            "kind": kind,
            "construct": item.construct if item else "",
            "key": ("reverse" if item.key < 0 else "forward") if item else "",
            "question": self.survey.label(name, language) if item or question else meaning,
            "answers": "; ".join(f"{code} = {label}" for code, label in labels.items()),
            "missing": "; ".join(codes),
            "source": item.source if item else "",
            "n": int(self.answers[name].notna().sum()),
            "n_missing": int(self.answers[name].isna().sum()),
        }

    def _described(self, id: str) -> dict[str, Any]:
        item = self.survey.items[id]
        values = self.answers[id].to_numpy(dtype=float, na_value=np.nan)
        there = pd.Series(values[~np.isnan(values)])
        spread = len(there) > 1 and there.std() > 0
        return {
            "item": id,
            "construct": item.construct,
            "key": item.key,
            "n": len(there),
            "n_missing": int(np.isnan(values).sum()),
            "mean": there.mean() if len(there) else np.nan,
            "sd": there.std() if len(there) > 1 else np.nan,
            "skewness": there.skew() if spread else np.nan,
            "kurtosis": there.kurt() if spread else np.nan,
            "floor": (there == item.scale.minimum).mean() if len(there) else np.nan,
            "ceiling": (there == item.scale.maximum).mean() if len(there) else np.nan,
        }


def _halves(sizes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Which clusters go to the first half, so that both halves have about the same number of rows."""
    first = np.zeros(len(sizes), dtype=bool)
    rows = [0, 0]
    for cluster in generator.permutation(len(sizes)):
        half = int(rows[0] > rows[1])
        first[cluster] = half == 0
        rows[half] += sizes[cluster]
    return first


_keyed = keyed  # the method's argument of the same name hides the function


def _no_reason(n: int, like: pd.DataFrame) -> pd.Categorical:
    dtype = next((d for d in like.dtypes if isinstance(d, pd.CategoricalDtype)), reason_dtype())
    return pd.Categorical.from_codes(np.full(n, -1, dtype=np.int8), dtype=dtype)


def _given(rule: Any, index: pd.Index) -> np.ndarray:
    column = pd.Series(rule) if not isinstance(rule, pd.Series) else rule
    if len(column) != len(index) or not pd.api.types.is_bool_dtype(column.dtype):
        raise ResponseError("A rule that is no text must be one true or false a row of the responses.", code="BadRule")
    return column.fillna(False).to_numpy(dtype=bool)


# Types of the columns -----------------------------------------------------------------------------


def reason_dtype(reasons: Iterable[str] = ()) -> pd.CategoricalDtype:
    """One categorical type for all columns of reasons."""
    return pd.CategoricalDtype(list(dict.fromkeys([*REASONS, *reasons])))


def typed(frame: pd.DataFrame, survey: Any) -> pd.DataFrame:
    """Identifiers as text, items as nullable integers, numeric background as floats, other columns as they are.

    Raises
    ------
    ResponseError : DuplicateColumn, NotANumber, NotAWholeNumber, NotFinite
    """
    twice = list(frame.columns[frame.columns.duplicated()].unique())
    if twice:
        raise ResponseError(f"The data have more than one column named {listed(twice)}.", code="DuplicateColumn")
    identifiers = {survey.respondent, survey.cluster, survey.organisation, "response"}
    columns = {}
    for name in frame.columns:
        if name in survey.items:
            columns[name] = _whole(frame[name])
        elif name in identifiers:
            columns[name] = frame[name].astype("str")
        else:
            columns[name] = _finite(frame[name]) if name in survey.background else frame[name]
    return pd.DataFrame(columns, index=frame.index)


def _finite(column: pd.Series) -> pd.Series:
    """A background question's column; infinite numbers are refused."""
    if column.dtype.kind == "f" and (endless := int(np.isinf(column.to_numpy(dtype=float, na_value=np.nan)).sum())):
        raise ResponseError(
            f"'{column.name}' holds {endless} infinite numbers, which nobody answered; make them missing.",
            code="NotFinite",
        )
    return column


def _whole(column: pd.Series) -> pd.Series:
    values = pd.to_numeric(column.astype(object) if column.dtype == "category" else column, errors="coerce")
    lost = int((values.isna() & column.notna()).sum())
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    lost += int((np.abs(numbers) > 2**53).sum())
    if lost or (numbers[~np.isnan(numbers)] % 1 != 0).any():
        raise ResponseError(
            f"The item '{column.name}' holds answers that are no whole numbers ({lost} cells of text); use "
            "coco.read_responses to read labels.",
            code="NotANumber",
        )
    whole = np.where(np.isnan(numbers), 0, numbers).astype(np.int64)
    return pd.Series(pd.arrays.IntegerArray(whole, np.isnan(numbers)), index=column.index, name=column.name)


def typed_reasons(answers: pd.DataFrame, missing: pd.DataFrame | None) -> pd.DataFrame:
    """A reason for every empty cell ('skipped' where none was given) and none elsewhere."""
    given = {} if missing is None else {name: missing[name].astype(object) for name in missing.columns}
    extra = sorted({str(one) for column in given.values() for one in column.dropna().unique()} - set(REASONS))
    dtype = reason_dtype(extra)
    columns = {}
    for name in answers.columns:
        empty = answers[name].isna().to_numpy()
        told = given.get(name, pd.Series(None, index=answers.index, dtype=object))
        told = told.where(told.notna(), "skipped").where(empty, None)
        columns[name] = told.astype(dtype)
    return pd.DataFrame(columns, index=answers.index)


def outside_options(answers: pd.DataFrame, survey: Any) -> None:
    """Refuse answers that the instrument does not allow.

    Raises
    ------
    ResponseError : OutsideOptions, with counts and no answers
    """
    found = []
    for id in (name for name in answers.columns if name in survey.items):
        scale = survey.items[id].scale
        values = answers[id].dropna().to_numpy(dtype=np.int64)
        allowed = (
            np.isin(values, scale.codes) if scale.points else (values >= scale.minimum) & (values <= scale.maximum)
        )
        if not allowed.all():
            found.append(f"'{id}' {int((~allowed).sum())} (allowed: {listed(scale.codes) or 'the range'})")
    if found:
        raise ResponseError(
            f"Answers outside the options, by item: {listed(found, 6)}. Correct the file or the instrument; "
            "codes for missing answers belong into the scale under 'missing'.",
            code="OutsideOptions",
        )
