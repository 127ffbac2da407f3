"""A draft of a survey from a file that describes one; every gap is marked with a comment '# gap:'.

The draft reads without faults. What the file does not say (which way an item is keyed, what a
construct is for, whether codes are a rating) is never decided silently: search for '# gap:'.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from cocoanalysis.instrument.instrumentfile import RESERVED
from cocoanalysis.instrument.structures import Choice, Question, Structure, Words, read_structure

TECHNICAL = {  # columns that platforms write beside the answers
    "submitdate", "lastpage", "startlanguage", "seed", "startdate", "enddate", "datestamp", "ipaddr", "ipaddress",
    "refurl", "status", "progress", "finished", "durationinseconds", "recordeddate", "responseid", "recipientlastname",
    "recipientfirstname", "recipientemail", "externalreference", "locationlatitude", "locationlongitude",
    "distributionchannel", "userlanguage", "provenance",
}  # fmt: skip
REASONS = {
    "refused": r"refus|prefer not|no answer|ønsker ikke|vil ikke svare",
    "does_not_know": r"don.?t know|do not know|unsure|ved ikke",
    "not_applicable": r"not applicable|n/a|ikke relevant",
    "cannot_judge": r"cannot (judge|say)|can.?t (judge|say)|kan ikke (vurdere|bedømme)",
    "skipped": r"skipped|sprunget over",
}
CODE_MAP = "codemap.json"
ONLY_DIGITS = re.compile(r"-?\d{1,9}")


@dataclass
class Draft:
    """The lines of the instrument file while it is written, and the ids that are taken."""

    language: str
    ids: dict[str, str] = field(default_factory=dict)  # our id → column of the file ('' for a construct)
    scales: dict[str, str] = field(default_factory=dict)  # the answers, written out → name of the scale
    scale_lines: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)  # our id → code of the file → our code

    def id(self, name: str, *, column: bool = True) -> str:
        """An id for a name of the file: small letters and digits, unique, no reserved word."""
        bare = re.sub(r"[^a-z0-9]", "", name.casefold())
        bare = (bare if re.match(r"[a-z]", bare) else f"q{bare}")[:16]
        found, number = bare, 1
        while found in self.ids or found in RESERVED:
            number += 1
            found = f"{bare}x{number}"
        self.ids[found] = name if column else ""
        return found

    def remember(self, id: str, codes: Iterable[tuple[str, str]]) -> None:
        """The codes of one question that are others here than in the file."""
        changed = {theirs: ours for theirs, ours in codes if theirs != ours}
        if changed:
            self.codes[id] = changed

    def words(self, words: Words, instead: str = "") -> str:
        """Words by language as a flow mapping; words of an unknown language count as the draft's."""
        named = {language or self.language: text for language, text in words.items() if text}
        named = named or {self.language: instead or "?"}
        return "{" + ", ".join(f"{language}: {quoted(text)}" for language, text in named.items()) + "}"


def draft_survey(id: str, path: str | Path) -> dict[str, str]:
    """The files of a draft survey (name → text): survey.yaml, one instrument, and the map of names and codes.

    Parameters
    ----------
    id : of the new survey
    path : .sav, .dta, tidy .csv or .tsv, XLSForm, LimeSurvey structure, REDCap dictionary, or .qsf

    Raises
    ------
    InstrumentError : as `structures.read_structure`
    """
    structure = read_structure(path)
    draft = Draft(structure.language or "en")
    asked = [one for one in structure.questions if re.sub(r"[^a-z]", "", one.name.casefold()) not in TECHNICAL]
    left_out = [one.name for one in structure.questions if one not in asked]
    ratings = _ratings(asked)
    constructs = [line for group in ratings for line in _construct(draft, group)]
    taken = {one.name for group in ratings for one in group}
    background = [line for one in asked if one.name not in taken for line in _background(draft, one)]
    languages = _languages(asked, draft.language)
    instrument = [*_head(id, structure, languages), *_section("scales", draft.scale_lines)]
    instrument += [*_section("constructs", constructs), *_section("background", background)]
    names = f"{id}items" if len(id) < 15 else "items"
    return {
        CODE_MAP: _code_map(draft, structure),
        "survey.yaml": "\n".join(_survey(id, structure, languages, draft, Path(path), left_out)) + "\n",
        "instruments/instrument.yaml": "\n".join(instrument).replace("id: ITEMS", f"id: {names}", 1) + "\n",
    }


def quoted(text: str) -> str:
    """Text as a double-quoted YAML scalar."""
    return json.dumps(re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]", " ", text), ensure_ascii=False)


def _section(name: str, lines: list[str]) -> list[str]:
    return [f"{name}:", *lines] if lines else []


def _languages(questions: Iterable[Question], language: str) -> list[str]:
    words = [
        found
        for one in questions
        for found in (one.text, one.lead, *(choice.label for choice in one.choices))
        if one.text or one.choices
    ]
    return list(dict.fromkeys([language, *(code for one in words for code in one if code)]))


def _head(id: str, structure: Structure, languages: list[str]) -> list[str]:
    unsaid = "" if structure.language else "  # gap: the file does not say in which language its words are"
    return [
        f"# A draft made from a file of {structure.kind}. Look for '# gap:' and fill in what the file does not say.",
        "schema: 1",
        "id: ITEMS",
        'version: "0.0.1"',
        f"title: {{{', '.join(f'{language}: {quoted(structure.title)}' for language in languages)}}}",
        "# gap: licence: under which terms may the wording be reused?",
        f"source: {quoted(f'Drafted from a file of {structure.kind}: {structure.title}')}",
        f"languages: [{', '.join(languages)}]{unsaid}",
    ]


# ---- items on scales ------------------------------------------------------------------------


def _answers(question: Question) -> tuple[Choice, ...]:
    """The answers in the order of the file; for a bare range of codes, the codes themselves."""
    if question.choices or question.codes is None:
        return question.choices
    low, high = question.codes
    return tuple(Choice(str(code), {}) for code in range(low, high + 1))


def _stem(name: str) -> str:
    """The letters of a column's name before its number: what LEAD01 and LEAD02 have in common."""
    return re.sub(r"[\W_]*\d+[a-z]?$", "", name, flags=re.IGNORECASE)


def _ratings(questions: list[Question]) -> list[list[Question]]:
    """Neighbouring questions with the same answers; alone only where the file says it is a rating.

    Whether a set of shared answers is a rating the file rarely says: the draft marks it as a gap.
    """
    groups = []
    bare = _widened(questions)
    for _, found in groupby(bare, key=lambda one: (one.group or _stem(one.name), _kind_of_answers(one))):
        group = [one for one in found if _can_rate(one)]
        said = any(one.rating for one in group)
        if group and (said or (len(group) > 1 and all(one.rating is None for one in group))):
            groups.append(group)
    return groups


def _kind_of_answers(question: Question) -> tuple[str, ...]:
    return tuple(choice.code for choice in _answers(question))


def _widened(questions: list[Question]) -> list[Question]:
    """Columns of bare codes with one stem share the widest range that any of them shows."""
    ranges: dict[str, tuple[int, int]] = {}
    for one in questions:
        if one.codes and not one.choices:
            low, high = ranges.get(_stem(one.name), one.codes)
            ranges[_stem(one.name)] = (min(low, one.codes[0]), max(high, one.codes[1]))
    return [replace(one, codes=ranges[_stem(one.name)]) if one.codes and not one.choices else one for one in questions]


def _can_rate(question: Question) -> bool:
    """Two or more answers that are no missing codes, on numbers or on codes that can be numbered."""
    answers = [choice for choice in _answers(question) if not choice.missing]
    return question.kind in ("choice", "unknown") and len(answers) > 1 and not question.personal


def _construct(draft: Draft, group: list[Question]) -> Iterator[str]:
    first = group[0]
    scale = _scale(draft, first)
    name = first.group or _stem(first.name) or first.name
    yield f"  - id: {draft.id(f'{name}scale', column=False)}"
    yield f"    label: {draft.words({}, name)}  # gap: what do these items measure together?"
    yield "    role: context  # gap: practice, outcome, predictor, marker, attention, …"
    yield f"    scale: {scale}"
    if first.lead:
        yield f"    stem: {draft.words(first.lead)}"
    yield "    items:"
    for one in group:
        id = draft.id(one.name)
        draft.remember(id, ((choice.code, code) for code, choice in _numbered(_answers(one))))
        yield f"      - id: {id}"
        yield f"        text: {draft.words(one.text, one.name)}{_gap(not one.text, 'the file has no question text')}"
        yield "        key: forward  # gap: does a high answer mean much of it?"
        yield f"        source: {quoted(one.name)}"


def _gap(there: bool, what: str) -> str:
    return f"  # gap: {what}" if there else ""


def _scale(draft: Draft, question: Question) -> str:
    """The name of the scale with these answers, written once."""
    answers = _answers(question)
    if repr(answers) in draft.scales:
        return draft.scales[repr(answers)]
    name = draft.scales[repr(answers)] = f"scale{len(draft.scales) + 1}"
    lines = [f"  {name}:  # gap: is this a rating scale? The file lists answers, not what they are"]
    lines[0] = f"  {name}:" if question.rating else lines[0]
    points = [choice for choice in answers if not choice.missing]
    numbered = _are_numbers(points)
    if question.codes is not None and not question.choices:
        lines.append("    # gap: only the codes that occur are known; add answers that nobody chose, and all labels")
    if not numbered:
        lines.append(f"    # gap: the codes of the file are {', '.join(quoted(choice.code) for choice in points)}")
    lines.append("    points:")
    lines += _points(draft, points, numbered)
    missing = [choice for choice in answers if choice.missing]
    lines += ["    missing:", *(_missing(draft, choice, "      ") for choice in missing)] if missing else []
    draft.scale_lines += lines
    return name


def _are_numbers(points: Iterable[Choice]) -> bool:
    return all(ONLY_DIGITS.fullmatch(choice.code) for choice in points)


def _numbered(answers: Iterable[Choice]) -> Iterator[tuple[str, Choice]]:
    """Our code of each point: the file's own number, or its place where the file has no numbers."""
    points = [choice for choice in answers if not choice.missing]
    kept = _are_numbers(points)
    for number, choice in enumerate(points, start=1):
        yield str(int(choice.code) if kept else number), choice


def _points(draft: Draft, points: list[Choice], numbered: bool) -> Iterator[str]:
    """Every answer; between labelled whole numbers, also those the file has no label for."""
    if not numbered:
        for number, choice in _numbered(points):
            yield f"      - {{code: {number}, label: {draft.words(choice.label, choice.code)}}}"
        return
    known = {int(choice.code): choice for choice in points}
    low, high = min(known), max(known)
    codes = (
        range(low, high + 1) if (high - low <= 10 and any(not one.label for one in points)) or _ends(known) else known
    )
    for code in sorted(codes):
        label = known[code].label if code in known else {}
        comment = _gap(not label, f"label of {code}")
        yield f"      - {{code: {code}, label: {draft.words(label, str(code))}}}{comment}"


def _ends(known: dict[int, Choice]) -> bool:
    """Only the two ends are labelled, as SPSS files often have it."""
    return len(known) == 2 and 1 < max(known) - min(known) <= 10


def _missing(draft: Draft, choice: Choice, indent: str) -> str:
    words = " ".join(choice.label.values()).casefold()
    reason = next((name for name, pattern in REASONS.items() if re.search(pattern, words)), "other")
    code = choice.code if ONLY_DIGITS.fullmatch(choice.code) else quoted(_code(choice.code))
    comment = _gap(reason == "other", "why is there no answer? (refused, cannot_judge, skipped, …)")
    return f"{indent}- {{code: {code}, reason: {reason}, label: {draft.words(choice.label, choice.code)}}}{comment}"


# ---- background -----------------------------------------------------------------------------


def _code(code: str) -> str:
    """A category's code as the file form takes it."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f{}<>|,;\"']+", "_", code)[:32] or "_"


def _name(code: str) -> str:
    """A category's code where it becomes a part of a column's name."""
    return re.sub(r"[^A-Za-z0-9]+", "_", code).strip("_")[:32] or "none"


def _background(draft: Draft, question: Question) -> Iterator[str]:
    answers = [choice for choice in _answers(question) if not choice.missing]
    kind = {"numeric": "numeric", "choice": "categorical", "several": "multiple"}.get(question.kind, "text")
    if question.kind == "unknown" and answers:
        kind = "categorical"
    if kind in ("categorical", "multiple") and not answers:
        kind = "text"
    id = draft.id(question.name)
    yield f"  - id: {id}"
    unsaid = _gap(not question.text, "the file has no question text")
    yield f"    label: {draft.words(question.text, question.name)}{unsaid}"
    if question.lead and question.kind == "numeric":
        yield f"    # asked under: {draft.words(question.lead)}"
    yield f"    kind: {kind}{_gap(*_doubt(question))}"
    for gap in question.gaps:
        yield f"    # gap: {gap}"
    if question.personal:
        yield "    personal: true"
    if kind in ("categorical", "multiple"):
        yield "    categories:"
        spelled = _name if kind == "multiple" else _code
        draft.remember(id, ((choice.code, spelled(choice.code)) for choice in answers))
        for code, choice in _unique(answers, spelled):
            label = draft.words(choice.label, choice.code)
            yield f"      - {{code: {code}, label: {label}}}{_gap(not choice.label, 'label')}"
        missing = [choice for choice in _answers(question) if choice.missing]
        if missing:
            yield "    missing:"
            yield from (_missing(draft, choice, "      ") for choice in missing)
    yield f"    source: {quoted(question.name)}"


def _doubt(question: Question) -> tuple[bool, str]:
    """What is unsure about the kind of a background question."""
    if question.kind == "several":
        return not question.choices, "several answers may be chosen; make it multiple and list its categories"
    if question.kind == "unknown":
        return True, "numbers or categories? Only codes are known"
    if question.kind == "numeric" and question.rating:
        return True, "the file calls it ordinal but labels no answer; is it an item on a scale?"
    if question.kind == "text" and not question.choices:
        return False, ""
    return question.rating is None and question.kind == "choice", "is this background, or an item on a scale?"


def _unique(answers: list[Choice], spelled: Callable[[str], str]) -> Iterator[tuple[str, Choice]]:
    seen: set[str] = set()
    for choice in answers:
        code = spelled(choice.code)
        if code.lower() not in seen:
            seen.add(code.lower())
            yield (code if ONLY_DIGITS.fullmatch(code) else quoted(code)), choice


def _code_map(draft: Draft, structure: Structure) -> str:
    """What the file calls our ids and codes, in the form in which exports write it beside them."""
    columns = {ours: theirs for ours, theirs in draft.ids.items() if theirs and ours != theirs}
    content = {"schema": 1, "columns": columns, "codes": draft.codes, "platform": structure.kind.casefold()}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


# ---- the survey file ------------------------------------------------------------------------


def _survey(
    id: str, structure: Structure, languages: list[str], draft: Draft, path: Path, left_out: list[str]
) -> Iterator[str]:
    yield f"# A draft made from a file of {structure.kind}. Look for '# gap:' here and in instruments/instrument.yaml."
    yield "schema: 1"
    yield f"id: {id}"
    yield 'version: "0.0.1"'
    yield f"title: {{{', '.join(f'{language}: {quoted(structure.title)}' for language in languages)}}}"
    yield f"languages: [{', '.join(languages)}]"
    yield "instruments: [instruments/instrument.yaml]"
    yield "# gap: identifiers: {respondent: …, collaboration: …}  (columns that tell who answered about what)"
    yield f'# {CODE_MAP} keeps the file\'s names: coco.read_responses(answers, survey, code_map="…/{CODE_MAP}")'
    if left_out:
        yield f"# left out, as the platform writes them itself: {', '.join(left_out)}"
    renamed = {ours: theirs for ours, theirs in draft.ids.items() if theirs and ours != theirs}
    if structure.kind in ("SPSS", "Stata", "CSV"):
        yield "samples:"
        yield f"  - file: {quoted(path.name)}  # recognised by its content, wherever it lies"
        yield "    provenance: yours"
        yield f"    sha256: {hashlib.sha256(path.read_bytes()).hexdigest()}"
        if renamed:
            yield "    code_map:"
            yield from (f"      {ours}: {quoted(theirs)}" for ours, theirs in renamed.items())
