"""Doubts about a survey that is well-formed: what a careful colleague would ask.

To add a check, write a generator of findings from a `Check` (the survey, its file, where things
stand) and put @check above it. Nothing else needs to change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cocoanalysis.errors import listed, suggestion
from cocoanalysis.instrument.findings import Finding, Place, doubt, in_order
from cocoanalysis.instrument.instrumentfile import texts
from cocoanalysis.instrument.model import NOT_MEASURED, Construct, Instrument, ResponseScale, Survey
from cocoanalysis.instrument.yamlfile import Source

FEWEST_ITEMS = 3
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
HIGH_END = {"en": r"(strongly|fully|completely) agree|always", "da": r"helt enig|altid|meget enig"}
LOW_END = {"en": r"(strongly|fully|completely) disagree|never", "da": r"helt uenig|aldrig|meget uenig"}


@dataclass(frozen=True)
class Check:
    """What a check looks at: the survey, and the sources that tell where a text stands."""

    survey: Survey
    sources: tuple[Source, ...]

    def place(self, id: str) -> Place:
        return self.survey.places[id]


CHECKS: list[Callable[[Check], Iterator[Finding]]] = []


def check(function: Callable[[Check], Iterator[Finding]]) -> Callable[[Check], Iterator[Finding]]:
    CHECKS.append(function)
    return function


def doubts_of(survey: Survey, sources: Iterable[Source]) -> list[Finding]:
    """All doubts that the registered checks find; the sources are the survey's file and its instruments'."""
    subject = Check(survey, tuple(sources))
    return in_order(finding for one in CHECKS for finding in one(subject))


@check
def licences(subject: Check) -> Iterator[Finding]:
    for instrument, source in zip(subject.survey.instruments, subject.sources[1:]):
        if not instrument.licence:
            sentence = f"The instrument '{instrument.id}' names no licence for its wording; others cannot reuse it."
            yield doubt(source.place("id"), "LicenceMissing", sentence)


@check
def translations(subject: Check) -> Iterator[Finding]:
    """Texts that lack one of the survey's languages."""
    wanted = subject.survey.languages
    for source in subject.sources:
        for steps, words in texts(source):
            if missing := [language for language in wanted if language not in words]:
                sentence = f"The text has no {listed(missing)}; the survey is in {listed(wanted)}."
                yield doubt(source.place(*steps), "TranslationMissing", sentence)


@check
def few_items(subject: Check) -> Iterator[Finding]:
    for construct in _measuring(subject.survey):
        if not construct.composite and len(construct.items) < FEWEST_ITEMS:
            sentence = f"'{construct.id}' has {len(construct.items)} items; with fewer than {FEWEST_ITEMS} a factor is "
            yield doubt(subject.place(construct.id), "FewItems", sentence + "not identified on its own.")


@check
def unbalanced_keys(subject: Check) -> Iterator[Finding]:
    """Scales of one direction only: agreeing with everything looks like a high score."""
    for construct in _measuring(subject.survey):
        keys = {subject.survey.items[id].key for id in construct.items}
        if not construct.composite and len(construct.items) > FEWEST_ITEMS and len(keys) == 1:
            sentence = f"All items of '{construct.id}' point the same way; one reverse-keyed item would show agreeing "
            yield doubt(subject.place(construct.id), "UnbalancedKeys", sentence + "with everything.")


@check
def uneven_codes(subject: Check) -> Iterator[Finding]:
    for scale, place in _scales(subject):
        if not scale.equally_spaced:
            sentence = f"The codes of '{scale.id}' are not equally spaced ({listed(scale.codes)}); reverse-keyed items "
            yield doubt(place, "UnequalCodes", sentence + "are turned by the map of codes, and means assume distances.")


@check
def unbalanced_scales(subject: Check) -> Iterator[Finding]:
    """More answers on one side of the middle than on the other, where the labels tell the sides."""
    negative = re.compile(r"disagree|uenig", re.IGNORECASE)
    positive = re.compile(r"(?<!dis)agree|(?<!u)enig", re.IGNORECASE)
    for scale, place in _scales(subject):
        for language in subject.survey.languages:
            labels = [label for label in scale.labels(language).values() if not re.search("neither|hverken", label)]
            below = sum(bool(negative.search(label)) for label in labels)
            above = sum(bool(positive.search(label)) and not negative.search(label) for label in labels)
            if below + above and below != above:
                sentence = (
                    f"The scale '{scale.id}' has {above} agreeing and {below} disagreeing answers in '{language}'."
                )
                yield doubt(place, "UnbalancedScale", sentence)
                break


@check
def scale_direction(subject: Check) -> Iterator[Finding]:
    """A scale whose labels run against its siblings, or whose lowest code is its strongest agreement."""
    scales = list(_scales(subject))
    for index, (scale, place) in enumerate(scales):
        turned = next((other for other, _ in scales[:index] if _opposite(scale, other)), None)
        if turned is not None:
            sentence = (
                f"The labels of '{scale.id}' run in the opposite order to those of '{turned.id}'; check the codes."
            )
            yield doubt(place, "ScaleDirection", sentence)
        elif _upside_down(scale):
            sentence = f"In '{scale.id}' the lowest code stands for the strongest agreement; check that 1 is meant so."
            yield doubt(place, "ScaleDirection", sentence)


def _opposite(scale: ResponseScale, other: ResponseScale) -> bool:
    for language in {language for point in scale.points for language in point.label}:
        mine, theirs = list(scale.labels(language).values()), list(other.labels(language).values())
        both = [label for label in mine if label in theirs]
        if len(both) > 1 and both == [label for label in reversed(theirs) if label in mine]:
            return True
    return False


def _upside_down(scale: ResponseScale) -> bool:
    if not scale.points:
        return False
    first, last = scale.points[0].label, scale.points[-1].label
    return any(
        re.fullmatch(HIGH_END[language], first.get(language, "").casefold())
        and re.fullmatch(LOW_END[language], last.get(language, "").casefold())
        for language in HIGH_END
    )


@check
def options_differ(subject: Check) -> Iterator[Finding]:
    """Items of one construct with different answers need a common metric before they are averaged."""
    for construct in subject.survey.constructs.values():
        items = [subject.survey.items[id] for id in construct.items]
        kinds = {(item.scale.codes, item.scale.minimum, item.scale.maximum) for item in items}
        if len(kinds) > 1 and construct.score.rescale == "none":
            names = sorted({item.scale.id for item in items})
            sentence = f"The items of '{construct.id}' have different answers ({listed(names)}); give its score "
            yield doubt(subject.place(construct.id), "OptionsDiffer", sentence + "'rescale: percent'.")
    seen: dict[str, tuple[ResponseScale, Instrument]] = {}
    for instrument, source in zip(subject.survey.instruments, subject.sources[1:]):
        for id, scale in instrument.scales.items():
            first, owner = seen.setdefault(id, (scale, instrument))
            if scale != first:
                place = source.place("scales", id, key=True)
                sentence = f"The scale '{id}' is not the one that '{owner.id}' defines under the same name."
                yield doubt(place, "OptionsDiffer", sentence)


@check
def overlaps(subject: Check) -> Iterator[Finding]:
    items = subject.survey.items
    for id, item in items.items():
        for other in item.overlap:
            if other not in items:
                sentence = f"'{id}' is marked as overlapping with '{other}', which the survey does not ask."
                yield doubt(subject.place(id), "UnknownOverlap", sentence + suggestion(other, items))


@check
def confusable_ids(subject: Check) -> Iterator[Finding]:
    """Ids that differ only in l/1, o/0 or rn/m."""
    seen: dict[str, str] = {}
    for id in (*subject.survey.constructs, *subject.survey.items, *subject.survey.background):
        drawn = id.replace("rn", "m").translate(str.maketrans("1o", "l0"))
        if drawn in seen and seen[drawn] != id:
            yield doubt(subject.place(id), "ConfusableIds", f"'{id}' looks like '{seen[drawn]}'; rename one of them.")
        seen.setdefault(drawn, id)


@check
def hidden_characters(subject: Check) -> Iterator[Finding]:
    for source in subject.sources:
        for steps, words in texts(source):
            for language, text in words.items():
                if isinstance(text, str) and (found := BIDI.search(text)):
                    sentence = f"The text holds the invisible character U+{ord(found[0]):04X}, which turns the reading "
                    yield doubt(source.place(*steps, language), "HiddenCharacter", sentence + "direction; remove it.")


def _measuring(survey: Survey) -> Iterable[Construct]:
    return [construct for construct in survey.constructs.values() if construct.role not in NOT_MEASURED]


def _scales(subject: Check) -> Iterator[tuple[ResponseScale, Place]]:
    """Each scale once, with its place; the same scale under the same name in two files counts once."""
    seen: dict[str, ResponseScale] = {}
    for instrument, source in zip(subject.survey.instruments, subject.sources[1:]):
        for id, scale in instrument.scales.items():
            if seen.get(id) != scale:
                seen[id] = scale
                yield scale, source.place("scales", id, key=True)
