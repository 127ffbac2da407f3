"""Two versions of a survey: what changed, and may their scores be compared?

The verdict is 'yes', 'only within' (each version by itself, or the parts that did not change) or
'no'. What kind a change is, the change log says (typo, wording, translation, scale, added,
dropped); a change that nobody recorded counts as a new wording, unless only case, punctuation or
spacing differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from cocoanalysis.errors import listed
from cocoanalysis.instrument.model import (
    Background,
    Construct,
    Item,
    ResponseScale,
    Score,
    ScoreRule,
    Survey,
    in_language,
)
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.result import Result

Comparable = Literal["yes", "only within", "no"]
WORST: list[Comparable] = ["yes", "only within", "no"]
COLUMNS = ["level", "id", "change", "comparable", "reason", "old", "new"]


class Difference(NamedTuple):
    """One item or score of either version: what changed and what follows from it."""

    level: str
    id: str
    change: str
    comparable: Comparable
    reason: str
    old: str = ""
    new: str = ""


@dataclass(frozen=True, repr=False)
class SurveyComparison(Result):
    """Per item and per score of two versions: what changed, whether scores stay comparable, and why."""

    old: str
    new: str
    differences: tuple[Difference, ...]

    @property
    def title(self) -> str:  # type: ignore[override]  # a constant in the base, made of both names here
        return f"{self.old} against {self.new}"

    def tidy(self, unchanged: bool = False) -> pd.DataFrame:
        """One row an item, background question or score: level, id, change, comparable, reason, old, new.

        Parameters
        ----------
        unchanged : also list what is the same in both versions
        """
        rows = [row for row in self.differences if unchanged or row.change != "none"]
        return pd.DataFrame(rows, columns=COLUMNS)

    def glance(self) -> pd.DataFrame:
        """One row: how many items and scores changed, and how many scores are comparable."""
        scores = [row for row in self.differences if row.level == "score"]
        items = [row for row in self.differences if row.level == "item"]
        counts = {f"scores_{word.replace(' ', '_')}": sum(row.comparable == word for row in scores) for word in WORST}
        changed = sum(row.change != "none" for row in items)
        return pd.DataFrame([{"items": len(items), "items_changed": changed, "scores": len(scores), **counts}])

    def notes(self) -> list[str]:
        count = sum(row.change == "none" for row in self.differences)
        return [f"{count} items and scores are the same in both versions and are not listed."]


def compare_surveys(old: Survey | str | Path, new: Survey | str | Path) -> SurveyComparison:
    """What changed from one version of a survey to another, and whether scores stay comparable.

    Parameters
    ----------
    old, new : surveys, or paths that `read_survey` takes

    Returns
    -------
    SurveyComparison; `.tidy()` has one row an item and a score that changed, with ``comparable``
    'yes', 'only within' or 'no' and the reason

    Raises
    ------
    InstrumentError : as `read_survey`

    Examples
    --------
    >>> compare_surveys("unit-climate", "unit-climate").glance().loc[0, "scores_yes"].item()
    3
    """
    before, after = (survey if isinstance(survey, Survey) else read_survey(survey) for survey in (old, new))
    items = {id: _item(id, before, after) for id in dict.fromkeys([*before.items, *after.items])}
    scores = [
        *(_construct(id, before, after, items) for id in dict.fromkeys([*before.constructs, *after.constructs])),
        *(_score(id, before, after, items) for id in dict.fromkeys([*before.scores, *after.scores])),
    ]
    return SurveyComparison(
        old=f"{before.id} {before.version}",
        new=f"{after.id} {after.version}",
        differences=(*items.values(), *_backgrounds(before, after), *(score for score in scores if score is not None)),
    )


# ---- items ----------------------------------------------------------------------------------


def _item(id: str, before: Survey, after: Survey) -> Difference:
    if id not in after.items:
        return Difference("item", id, "dropped", "no", "The new version does not ask it.", old=before.label(id))
    if id not in before.items:
        return Difference("item", id, "added", "no", "The old version did not ask it.", new=after.label(id))
    old, new = before.items[id], after.items[id]
    found = [*_scales(old, new), *_keys(old, new), *_words(old, new, before, after)]
    if not found:
        return Difference("item", id, "none", "yes", "", old.question(), new.question())
    change, reason = ", ".join(change for change, _, _ in found), " ".join(reason for _, _, reason in found)
    return Difference("item", id, change, _worst(word for _, word, _ in found), reason, old.question(), new.question())


Found = list[tuple[str, Comparable, str]]


def _scales(old: Item, new: Item) -> Found:
    mine, theirs = old.scale, new.scale
    if (mine.codes, mine.minimum, mine.maximum) != (theirs.codes, theirs.minimum, theirs.maximum):
        was, now = (listed(scale.codes) or f"{scale.minimum} to {scale.maximum}" for scale in (mine, theirs))
        return [("scale", "no", f"The answers changed from {was} to {now}: equal numbers mean different things.")]
    both = set(old.text) & set(new.text)
    changed = [language for language in sorted(both) if mine.labels(language) != theirs.labels(language)]
    if changed:
        return [("scale", "only within", f"The answers have other words in {listed(changed)}; the codes are the same.")]
    if _missing(mine, both) != _missing(theirs, both):
        return [("scale", "yes", "Only the answers that stand for 'no answer' changed.")]
    return []


def _missing(scale: ResponseScale, languages: Iterable[str]) -> list[tuple[str, ...]]:
    labels = {language: scale.missing_labels(language) for language in languages}
    return [(one.code, one.reason, *(words[one.code] for words in labels.values())) for one in scale.missing]


def _keys(old: Item, new: Item) -> Found:
    if old.key == new.key:
        return []
    return [("key", "only within", "The key turned round: raw answers compare, scores only after scoring both anew.")]


def _words(old: Item, new: Item, before: Survey, after: Survey) -> Found:
    """Changed words, by what kind of change the log says it is."""
    both = sorted(set(before.languages) & set(after.languages))
    changed = {
        language: {(old.question(language, address), new.question(language, address)) for address in ("other", "self")}
        for language in both
    }
    changed = {
        language: {(was, now) for was, now in pairs if was != now}
        for language, pairs in changed.items()
        if any(was != now for was, now in pairs)
    }
    if not changed:
        return []
    kinds = _recorded(new, before, after)
    if kinds and kinds <= {"typo"}:
        return [("typo", "yes", "A slip of the pen was corrected.")]
    if all(_letters(was) == _letters(now) for pairs in changed.values() for was, now in pairs):
        return [("typo", "yes", "Only case, punctuation or spacing changed.")]
    same = [language for language in both if language not in changed]
    unrecorded = "" if kinds else " No entry of the change log says why."
    original = before.languages[0] in changed and "translation" not in kinds
    if same and not original and "wording" not in kinds:
        reason = f"The words changed in {listed(changed)}: compare versions among answers in {listed(same)} only."
        return [("translation", "only within", reason + unrecorded)]
    reason = f"It asks in other words in {listed(changed)}: levels of the versions do not compare."
    return [("wording", "only within", reason + unrecorded)]


def _recorded(item: Item, before: Survey, after: Survey) -> set[str]:
    """The kinds of change that the newer log has for this item or its construct."""
    logs = [after.changelog, *(instrument.changelog for instrument in after.instruments)]
    known = {change for log in (before.changelog, *(one.changelog for one in before.instruments)) for change in log}
    fresh = [change for log in logs for change in log if change not in known]
    return {change.kind for change in fresh if {item.id, item.construct} & set(change.ids)}


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


# ---- background -----------------------------------------------------------------------------


def _backgrounds(before: Survey, after: Survey) -> Iterator[Difference]:
    """The background questions that are not the same in both versions."""
    for id in dict.fromkeys([*before.background, *after.background]):
        old, new = before.background.get(id), after.background.get(id)
        if old is None or new is None:
            sentence = f"The {'new' if new is None else 'old'} version does not ask it."
            words = [one.label(id) if asked else "" for one, asked in ((before, old), (after, new))]
            yield Difference("background", id, "dropped" if new is None else "added", "no", sentence, *words)
        elif found := [*_answers(old, new, {*before.languages} & {*after.languages})]:
            yield _summed(id, found)._replace(level="background", old=before.label(id), new=after.label(id))


def _answers(old: Background, new: Background, languages: set[str]) -> Found:
    if old.kind != new.kind:
        return [("kind", "no", f"It was {old.kind} and is {new.kind}: the answers are of another kind.")]
    gone, come = [list(set(one.categories) - set(other.categories)) for one, other in ((old, new), (new, old))]
    if gone or come:
        what = " and ".join(
            f"{word} {listed(sorted(codes))}" for word, codes in (("without", gone), ("with", come)) if codes
        )
        return [("categories", "only within", f"The answers are now {what}; merge categories before comparing.")]
    changed = [one for one in sorted(languages) if old.labels(one) != new.labels(one)]
    if changed:
        return [("categories", "only within", f"The answers have other words in {listed(changed)}; check the codes.")]
    said = [
        one
        for one in sorted(languages)
        if _letters(in_language(old.question, one)) != _letters(in_language(new.question, one))
    ]
    return [("wording", "only within", f"It asks in other words in {listed(said)}.")] if said else []


# ---- scores ---------------------------------------------------------------------------------


def _construct(id: str, before: Survey, after: Survey, items: dict[str, Difference]) -> Difference | None:
    old, new = before.constructs.get(id), after.constructs.get(id)
    if {construct.role for construct in (old, new) if construct} == {"attention"}:
        return None
    if old is None or new is None:
        return _only_one(id, new is None)
    found = _members(old.items, new.items, items)
    found += _rules(old.score, new.score)
    found += _nature(old, new)
    return _summed(id, found)


def _score(id: str, before: Survey, after: Survey, items: dict[str, Difference]) -> Difference:
    old, new = before.scores.get(id), after.scores.get(id)
    if old is None or new is None:
        return _only_one(id, new is None)
    return _summed(id, [*_members(old.items, new.items, items), *_parts(old, new)])


def _only_one(id: str, dropped: bool) -> Difference:
    version, change = ("new", "dropped") if dropped else ("old", "added")
    return Difference("score", id, change, "no", f"The {version} version has no such score.")


def _members(old: tuple[str, ...], new: tuple[str, ...], items: dict[str, Difference]) -> Found:
    found: Found = []
    both = [id for id in old if id in new]
    gone, come = [id for id in old if id not in new], [id for id in new if id not in old]
    if gone or come:
        what = " and ".join(f"{word} {listed(ids)}" for word, ids in (("without", gone), ("with", come)) if ids)
        if not both:
            found.append(("items", "no", "No item is in both versions."))
        else:
            hint = f"compare a score over {listed(both)} instead."
            found.append(("items", "only within", f"The new score is made {what}; {hint}"))
    for word in ("no", "only within"):
        ids = [id for id in both if items[id].comparable == word]
        if ids:
            changes = listed(sorted({items[id].change for id in ids}))
            found.append((changes, "no" if word == "no" else "only within", f"the {changes} of {listed(ids)} changed."))
    typos = [id for id in both if items[id].change != "none" and items[id].comparable == "yes"]
    if typos:
        found.append(("typo", "yes", f"Slips corrected in {listed(typos)}."))
    return found


def _rules(old: ScoreRule, new: ScoreRule) -> Found:
    found: Found = []
    if (old.rule, old.rescale) != (new.rule, new.rescale):
        found.append(("rule", "no", f"The rule changed from {_rule(old)} to {_rule(new)}; score both by one rule."))
    if old.min_items != new.min_items:
        reason = f"At least {new.min_items} answers are needed instead of {old.min_items}: other rows have a score."
        found.append(("min_items", "yes", reason))
    return found


def _rule(rule: ScoreRule) -> str:
    return rule.rule if rule.rescale == "none" else f"{rule.rule} of percentages"


def _nature(old: Construct, new: Construct) -> Found:
    if old.composite == new.composite:
        return []
    return [("model", "only within", "One version treats its items as formative, the other as reflective.")]


def _parts(old: Score, new: Score) -> Found:
    if (old.rule, old.of) == (new.rule, new.of) and old.parts == new.parts:
        return []
    if old.rule != new.rule:
        return [("rule", "no", f"The rule changed from {old.rule} to {new.rule}; score both by one rule.")]
    if old.of != new.of:
        return [("parts", "only within", f"It is made of {listed(new.of)} instead of {listed(old.of)}.")]
    return []


def _summed(id: str, found: Found) -> Difference:
    if not found:
        return Difference("score", id, "none", "yes", "")
    change = ", ".join(dict.fromkeys(change for change, _, _ in found))
    reason = " ".join(reason[:1].upper() + reason[1:] for _, _, reason in found)
    return Difference("score", id, change, _worst(word for _, word, _ in found), reason)


def _worst(words: Iterable[Comparable]) -> Comparable:
    return max(words, key=WORST.index)
