"""What a survey platform would do to this survey: ids, codes, lengths, braces, markup.

The exports escape and map what they can; a lint says so before the survey is in the field. To add
a platform's lint, write a generator of findings from a `Subject` and put @lint("name") above it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cocoanalysis.errors import InstrumentError, one_of
from cocoanalysis.instrument.findings import Finding, Place, doubt, in_order
from cocoanalysis.instrument.instrumentfile import texts
from cocoanalysis.instrument.model import Survey
from cocoanalysis.instrument.yamlfile import Source

HTML = re.compile(r"</?[A-Za-z][^<>]*>|&#?\w+;")


@dataclass(frozen=True)
class Text:
    """One text in one language, with where it stands and which kind it is (text, label, …)."""

    words: str
    kind: str
    place: Place


@dataclass(frozen=True)
class Subject:
    """What a lint looks at."""

    survey: Survey
    texts: tuple[Text, ...]

    def ids(self) -> Iterator[tuple[str, Place]]:
        for id in (*self.survey.items, *self.survey.background):
            yield id, self.survey.places[id]

    def codes(self) -> Iterator[tuple[str, str, Place]]:
        """(id, code, place) of every answer: points, missing codes, categories."""
        for id, item in self.survey.items.items():
            answers = [str(code) for code in item.scale.codes] + [one.code for one in item.scale.missing]
            yield from ((id, code, self.survey.places[id]) for code in answers)
        for id, entry in self.survey.background.items():
            answers = [*entry.categories, *(one.code for one in entry.missing)]
            yield from ((id, code, self.survey.places[id]) for code in answers)


Lint = Callable[[Subject], Iterator[Finding]]
LINTS: dict[str, Lint] = {}


def lint(platform: str) -> Callable[[Lint], Lint]:
    def register(function: Lint) -> Lint:
        LINTS[platform] = function
        return function

    return register


def platform_findings(survey: Survey, sources: Iterable[Source], platforms: Iterable[str]) -> list[Finding]:
    """What these platforms would change or misread, each with its place.

    Raises
    ------
    InstrumentError : UnknownPlatform
    """
    subject = Subject(survey, tuple(_texts(sources)))
    names = [one_of(name, LINTS, "platform", error=InstrumentError, code="UnknownPlatform") for name in platforms]
    return in_order(finding for name in names for finding in LINTS[name](subject))


def _texts(sources: Iterable[Source]) -> Iterator[Text]:
    for source in sources:
        for steps, words in texts(source):
            kind = next(str(step) for step in reversed(steps) if step not in ("self", "other"))
            for language, text in words.items():
                if isinstance(text, str):
                    yield Text(text, kind, source.place(*steps, language))


# ---- rules that platforms share ---------------------------------------------------------------


def _reserved(subject: Subject, platform: str, words: set[str]) -> Iterator[Finding]:
    for id, place in subject.ids():
        if id in words:
            yield doubt(place, "PlatformId", f"{platform} keeps the name '{id}' for itself; give another id.")


def _matching(subject: Subject, pattern: str, sentence: str) -> Iterator[Finding]:
    """Texts that hold what the platform would take for a command; ``sentence`` takes the match."""
    for text in subject.texts:
        if found := re.search(pattern, text.words):
            yield doubt(text.place, "PlatformText", sentence.format(found[0]))


def _markup(subject: Subject, platform: str) -> Iterator[Finding]:
    for text in subject.texts:
        if found := HTML.search(text.words):
            sentence = f"{platform} would run '{found[0]}' as HTML; the export escapes it, so that it is read as typed."
            yield doubt(text.place, "PlatformText", sentence)


def _long(subject: Subject, platform: str, limits: dict[str, int]) -> Iterator[Finding]:
    """Texts longer than the platform keeps, in bytes of UTF-8, by kind of text."""
    for text in subject.texts:
        limit = limits.get(text.kind)
        size = len(text.words.encode("utf-8"))
        if limit is not None and size > limit:
            sentence = f"{platform} keeps {limit} bytes of this text, which has {size}; the rest is cut off."
            yield doubt(text.place, "PlatformLength", sentence)


def _codes(subject: Subject, platform: str, pattern: str, what: str, several: str = "") -> Iterator[Finding]:
    """Codes that do not fit the pattern; ``several`` is that of questions that take several answers."""
    multiple = {id for id, entry in subject.survey.background.items() if entry.kind == "multiple"}
    for id, code, place in subject.codes():
        if not re.fullmatch(several if several and id in multiple else pattern, code):
            sentence = f"{platform} takes {what} as codes; '{code}' of '{id}' is replaced through the code map."
            yield doubt(place, "PlatformCode", sentence)


# ---- platforms --------------------------------------------------------------------------------


@lint("limesurvey")
def limesurvey(subject: Subject) -> Iterator[Finding]:
    """Answer codes of at most five letters and digits; {…} is evaluated, HTML runs (6.4.2, measured)."""
    names = {"sid", "gid", "qid", "id", "token", "seed", "lang", "submitdate", "startdate", "datestamp", "lastpage"}
    yield from _reserved(subject, "LimeSurvey", names | {"startlanguage", "ipaddr", "refurl", "random"})
    what = "at most five letters and digits (twenty where several answers may be given)"
    yield from _codes(subject, "LimeSurvey", r"[A-Za-z0-9]{1,5}", what, several=r"[A-Za-z0-9]{1,20}")
    yield from _matching(subject, r"\{[^{}\s][^{}]*\}", "LimeSurvey would evaluate '{}'; the export escapes it.")
    yield from _markup(subject, "LimeSurvey")


@lint("qualtrics")
def qualtrics(subject: Subject) -> Iterator[Finding]:
    """Piped text ${…}, and [[…]] that the advanced format takes for its own marks."""
    yield from _matching(subject, r"\$\{[^}]*\}", "Qualtrics would take '{}' for piped text; the export escapes it.")
    sentence = "The advanced format of Qualtrics would take '{}' for a mark of its own; write single brackets."
    yield from _matching(subject, r"\[\[[^\]]*\]\]", sentence)
    yield from _matching(subject, r"\n", "A line break would begin a new answer in Qualtrics; write one line.")
    yield from _markup(subject, "Qualtrics")


@lint("xlsform")
def xlsform(subject: Subject) -> Iterator[Finding]:
    """${…} refers to a question; Markdown and HTML are shown formatted."""
    yield from _reserved(subject, "XLSForm", {"meta", "instanceid", "start", "end", "deviceid", "username", "today"})
    yield from _codes(subject, "XLSForm", r"[A-Za-z0-9_.-]+", "letters, digits, '_', '.' and '-'")
    yield from _matching(subject, r"\$\{[^}]*\}", "XLSForm would look for the question '{}'; the export escapes it.")
    sentence = "ODK and Kobo would show '{}' formatted (Markdown); the export escapes it."
    yield from _matching(subject, r"(?<!\w)(\*\w[^*]*\*|_\w[^_]*_|#{1,6} )", sentence)
    yield from _markup(subject, "XLSForm")


@lint("redcap")
def redcap(subject: Subject) -> Iterator[Finding]:
    """Choices end at '|'; [field] is piped, {field} embeds a field."""
    yield from _reserved(subject, "REDCap", {"recordid", "redcapeventname", "redcapdataaccessgroup"})
    what = "letters, digits, '_', '.' and '-' (small letters, digits and '_' where several answers may be given)"
    yield from _codes(subject, "REDCap", r"[A-Za-z0-9_.-]+", what, several=r"[a-z0-9_]+")
    for text in subject.texts:
        if text.kind == "label" and "|" in text.words:
            yield doubt(text.place, "PlatformText", "REDCap ends a choice at '|'; write the label without it.")
    yield from _matching(subject, r"\[[a-z]\w*\]", "REDCap would put an answer for '{}'; the export escapes it.")
    yield from _matching(subject, r"\{[a-z]\w*\}", "REDCap would put a field for '{}'; the export escapes it.")
    yield from _markup(subject, "REDCap")


@lint("surveyjs")
def surveyjs(subject: Subject) -> Iterator[Finding]:
    """{…} is replaced by an answer."""
    yield from _matching(subject, r"\{[^{}]+\}", "SurveyJS would put an answer for '{}'; the export escapes it.")


@lint("spss")
def spss(subject: Subject) -> Iterator[Finding]:
    """Value labels of 120 bytes, variable labels of 255."""
    yield from _long(subject, "SPSS", {"label": 120, "text": 255, "question": 255})


@lint("stata")
def stata(subject: Subject) -> Iterator[Finding]:
    """Variable labels of 80 characters."""
    for id, place in subject.ids():
        label = subject.survey.label(id, subject.survey.languages[0])
        if len(label) > 80:
            sentence = f"Stata keeps 80 characters of a variable's label; that of '{id}' has {len(label)}."
            yield doubt(place, "PlatformLength", sentence)
