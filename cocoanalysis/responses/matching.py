"""From columns and labels of a file to the items and codes of the survey.

Columns are bound by the saved code map, then by id, then by the exact question text in any
language; what stays unbound is listed with its nearest candidates. Cells are text, and each
becomes a value or a *missing reason*. A platform that already knows why a cell is empty
writes `mark(reason)` into it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cocoanalysis.errors import ResponseError, listed, nearest, suggestion

REASONS = {
    "skipped": "shown and left empty",
    "not_asked": "not part of what this respondent was asked",
    "not_reached": "after the last answer of a questionnaire that was not finished",
    "refused": "prefers not to say",
    "cannot_judge": "cannot judge",
    "does_not_apply": "does not apply",
    "invalid": "an answer outside the options, set to missing by request",
}
MARK = "\x00"  # cannot occur in a file: files that hold it are refused


@dataclass(frozen=True)
class Meta:
    """A technical column: what it holds, and how its text is read."""

    kind: str  # text | number | boolean | time
    meaning: str


META = {
    "response": Meta("text", "the platform's id of this response"),
    "started": Meta("time", "when the questionnaire was opened, with its offset, or UTC"),
    "ended": Meta("time", "when it was last saved or sent"),
    "seconds": Meta("number", "time spent, in seconds"),
    "complete": Meta("boolean", "whether the questionnaire was sent"),
    "status": Meta("text", "live, preview, test or spam"),
    "consent": Meta("boolean", "whether the respondent agreed to take part"),
    "language": Meta("text", "language in which the questionnaire was shown"),
    "form": Meta("text", "form of the questionnaire (short, core, planned, or planned:1 for its first version)"),
    "weight": Meta("number", "design or calibration weight"),
    "provenance": Meta("text", "synthetic, public real or yours"),
    "surveyversion": Meta("text", "version of the survey that was fielded"),
}


def mark(reason: str) -> str:
    """The cell text that says: missing, for this reason."""
    return MARK + reason


UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))  # characters that take no room


def plain(text: str) -> str:
    """Text as it is compared: composed characters, single blanks, no blanks at the ends, nothing invisible."""
    return " ".join(unicodedata.normalize("NFC", text).translate(UNSEEN).split())


QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "…": "..."})
ADDED = re.compile(r"( - Selected Choice| \*|\*|:)$")  # what platforms put behind a question


def heading(text: str) -> str:
    """A question text as it is compared: no HTML, straight quotes, small letters, without a platform's additions."""
    told = html.unescape(re.sub(r"<[^<>]*>", " ", text)) if "<" in text or "&" in text else text
    told = plain(told).translate(QUOTES)
    return re.sub(r"\s+([.,;:?!\])])", r"\1", ADDED.sub("", told)).strip().lower()


# Columns ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bindings:
    """Which column holds what: ``columns`` column → our id, ``how`` column → by what it was found."""

    columns: Mapping[str, str]
    how: Mapping[str, str] = field(default_factory=dict)
    unmatched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """One row a column of the file: column, id, matched_by, candidates."""
        found = [(column, id, self.how.get(column, ""), "") for column, id in self.columns.items()]
        lost = [(column, "", "", ", ".join(near)) for column, near in self.unmatched.items()]
        return pd.DataFrame(found + lost, columns=["column", "id", "matched_by", "candidates"])


def known_ids(survey: Any) -> list[str]:
    """Every id that a column may carry: items, background, identifiers, technical columns."""
    own = [survey.respondent, survey.cluster, survey.organisation, getattr(survey, "collaboration", None)]
    options = [name for question in survey.background.values() for name in question.columns]
    return list(dict.fromkeys([*survey.items, *survey.background, *(id for id in own if id), *META, *options]))


def bind(
    columns: Sequence[str],
    survey: Any,
    *,
    code_map: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    headings: Mapping[str, set[str]] | None = None,
    language: str | None = None,
) -> Bindings:
    """Bind the columns of a file to the ids of the survey.

    Parameters
    ----------
    columns : names of the columns, unique
    code_map : our id → column (the other way round is understood too)
    given : column → our id, what the platform module is sure of (an ImportId, say)
    texts : column → question text, where the file holds it beside the name
    options, headings : how the column of one of several answers may be named, or headed with words → `id__code`
    language : match texts in this language only; None for any

    Raises
    ------
    ResponseError : UnknownColumn, UnknownId (code map), AmbiguousText, RenamedColumn
    """
    ids = list(dict.fromkeys([*known_ids(survey), *(options or {}).values()]))
    found, how = dict(given or {}), dict.fromkeys(given or {}, "platform")
    split = {column: (options or {}).get(plain(column).lower(), "") for column in columns}
    for column, id in _by_map(columns, code_map or {}, ids, split).items():
        found[column], how[column] = id, "code map"
    for spelled, by in ((plain, "id"), (lambda name: plain(name).lower(), "id in capitals")):
        taken = set(found.values())
        for column in columns:
            if column not in found and spelled(column) in ids and spelled(column) not in taken:
                found[column], how[column] = spelled(column), by
    for column, option in split.items():
        if option and column not in found:
            found[column], how[column] = option, "id and code"
    _by_part(columns, survey, found, how)
    index = question_index(survey, language)
    for text, hits in (headings or {}).items():
        index.setdefault(heading(text), set()).update(hits)
    _by_text(columns, index, texts or {}, found, how)
    free = [id for id in ids if id not in set(found.values())]
    rest = [column for column in columns if column not in found]
    near = _Nearby(free, index) if len(rest) <= MOST_CANDIDATES else None
    unmatched = {column: near.candidates(column, (texts or {}).get(column)) if near else () for column in rest}
    return Bindings({column: found[column] for column in columns if column in found}, how, unmatched)


def _by_map(
    columns: Sequence[str], code_map: Mapping[str, str], ids: Sequence[str], split: Mapping[str, str]
) -> dict[str, str]:
    found = {}
    whole = {option.partition("__")[0] for option in split.values()}  # questions that have a column for each answer
    for key, value in code_map.items():
        id, column = (key, value) if key in ids else (value, key)
        if id not in ids:
            raise ResponseError(
                f"The code map names '{key}' and '{value}', neither of which is an id of the survey."
                f"{suggestion(key, ids)}",
                code="UnknownId",
            )
        if column in columns:
            found[column] = id
        elif id not in columns and id not in whole:
            raise ResponseError(
                f"The code map says that '{id}' stands in the column '{column}', which the file does not have."
                f"{suggestion(column, columns)} The file has {listed(columns)}.",
                code="UnknownColumn",
            )
    return found


PART = re.compile(r"(?P<group>.*?)(?P<mark>[\[/._-])(?P<id>[A-Za-z][A-Za-z0-9]*)\]?")
MOST_CANDIDATES = 500  # unbound columns for which names that are alike are looked for


def _by_part(columns: Sequence[str], survey: Any, found: dict[str, str], how: dict[str, str]) -> None:
    """An item behind what it stands in: 'trust[tru1]', 'page/tru1', or 'trust_tru1' where trust is its scale."""
    taken = set(found.values())
    hits: dict[str, list[str]] = {}
    for column in columns:
        match = PART.fullmatch(plain(column)) if column not in found else None
        id = match["id"] if match else ""
        if match and id in survey.items and id not in taken:
            sure = match["mark"] in "[/." or match["group"].removeprefix("g_") == survey.items[id].construct
            if sure and (match["mark"] == "[") == column.rstrip().endswith("]"):
                hits.setdefault(id, []).append(column)
    for id, names in hits.items():
        if len(names) == 1:
            found[names[0]], how[names[0]] = id, "id behind a group"


def _by_text(
    columns: Sequence[str],
    index: Mapping[str, set[str]],
    texts: Mapping[str, str],
    found: dict[str, str],
    how: dict[str, str],
) -> None:
    for column in [column for column in columns if column not in found]:
        headed, beside = (index.get(heading(text), set()) for text in (column, texts.get(column, "")))
        hits = (headed & beside) or set(headed or beside)
        if len(hits) > 1:
            raise ResponseError(
                f"The column headed with a question text matches more than one question ({listed(sorted(hits))}); "
                "say which by a code map: code_map={id: column}.",
                code="AmbiguousText",
            )
        if hits:
            found[column], how[column] = hits.pop(), "text"


def question_index(survey: Any, language: str | None = None) -> dict[str, set[str]]:
    """Question text (see `heading`) → ids, for every language and form of address, with and without its stem."""
    index: dict[str, set[str]] = {}
    languages = [language] if language else list(survey.languages)
    for lang in languages:
        for item in survey.items.values():
            for address in ("other", "self"):
                for text in _renderings(item, lang, address):
                    index.setdefault(heading(text), set()).add(item.id)
        for id, question in survey.background.items():
            for text in (question.question.get(lang, ""), question.label.get(lang, "")):
                index.setdefault(heading(text), set()).add(id)
        index.setdefault(heading(survey.consent.get(lang, "")), set()).add("consent")
    index.pop("", None)
    return index


def _renderings(item: Any, language: str, address: str) -> list[str]:
    words = item.wording(language, address)
    stem = item.stem_by_address.get(address, item.stem).get(language, "")
    joined = [f"{stem} [{words}]", f"{stem} - {words}", f"{stem} ({words})", f"{stem} {words}"] if stem else []
    return [words, item.question(language, address), *joined]


@dataclass(frozen=True)
class _Nearby:
    """What a column that is not bound may be: ids and question texts that are alike."""

    free: Sequence[str]
    index: Mapping[str, set[str]]

    def candidates(self, column: str, text: str | None) -> tuple[str, ...]:
        near = [nearest(column, self.free)]
        if text or len(column) > 25:
            guess = nearest(heading(text or column), self.index)
            near += sorted(self.index[guess]) if guess else []
        return tuple(dict.fromkeys(id for id in near if id))


def renamed(bindings: Bindings, survey: Any) -> None:
    """Refuse a file in which an item is missing while a column looks like it under another name.

    Raises
    ------
    ResponseError : RenamedColumn
    """
    present = set(bindings.columns.values())
    started = {survey.items[id].construct for id in present if id in survey.items}
    started |= {item.construct for item in survey.attention.values()} if started else set()  # a check has one item
    for column, near in bindings.unmatched.items():
        for id in near:
            if id in survey.items and id not in present and survey.items[id].construct in started:
                raise ResponseError(
                    f"There is no column for the item '{id}', but a column '{column}' that may be it under another "
                    f"name. Rename it, or say so by code_map={{'{id}': '{column}'}}; drop the column if it is not.",
                    code="RenamedColumn",
                )


# Cells ---------------------------------------------------------------------------------------


def factorised(column: Any) -> tuple[list[str], np.ndarray]:
    """A column of text as its different texts and, for each row, the position of its text."""
    if isinstance(column, pa.ChunkedArray):
        return _factorised_arrow(column)
    values = pd.Series(column)
    codes, texts = pd.factorize(values.astype(object).where(values.notna(), "").astype(str))
    return [str(text) for text in texts], codes


def _factorised_arrow(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    if column.num_chunks == 0:
        return [], np.zeros(0, dtype=np.int32)
    texts = ["" if text is None else str(text) for text in column.chunk(0).dictionary.to_pylist()]
    parts = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    codes = np.concatenate(parts)
    if (codes < 0).any():
        codes = np.where(codes < 0, len(texts), codes)
        texts.append("")
    return texts, codes


def plain_texts(column: Any) -> pa.ChunkedArray:
    """A column of text without blanks at the ends, composed characters, empty cells as null."""
    if not isinstance(column, pa.ChunkedArray):
        values = pd.Series(column)
        column = pa.chunked_array([pa.array(values.astype(object).where(values.notna(), None), pa.string())])
    texts = column.cast(pa.string())
    texts = pc.utf8_trim_whitespace(pc.utf8_normalize(texts, form="NFC"))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


@dataclass(frozen=True)
class Answers:
    """What the texts of one column mean.

    ``values`` text → value, ``reasons`` text → missing reason, ``labelled`` and ``coded`` the
    texts that can only be a label, or only a code, ``faults`` texts that the survey does not allow → why.
    """

    values: dict[str, Any]
    reasons: dict[str, str]
    labelled: frozenset[str] = frozenset()
    coded: frozenset[str] = frozenset()
    faults: dict[str, str] = field(default_factory=dict)


def options(question: Any, language: str | None = None) -> tuple[dict[str, Any], dict[str, set[Any]], dict[str, str]]:
    """Code text → code, label text → codes, and missing text → reason, of an item or background question."""
    scale = getattr(question, "scale", None)
    holder = scale if scale is not None else question
    if scale is not None:
        codes: dict[str, Any] = {str(point.code): point.code for point in scale.points}
        named = [(point.code, point.label) for point in scale.points]
    else:
        codes = {code: code for code in question.categories}
        named = list(question.categories.items())
    labels: dict[str, set[Any]] = {}
    for code, words in named:
        for lang, label in words.items():
            if language in (None, lang):
                labels.setdefault(plain(label), set()).add(code)
    missing = {name: name for name in REASONS}
    for one in holder.missing:
        missing[one.reason] = one.reason
        missing |= {plain(label): one.reason for lang, label in one.label.items() if language in (None, lang)}
        missing[one.code] = one.reason
    return codes, labels, missing


def understand(
    texts: Iterable[str],
    question: Any,
    *,
    language: str | None = None,
    codes: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    empty: Iterable[str] = (),
) -> Answers:
    """What each different text of a column means for that item or background question.

    Parameters
    ----------
    codes : platform code → our code, from a code map
    labels : code in the file → label in the file (value labels of SPSS or Stata)
    empty : further texts that stand for an empty cell, such as 'NA' in files written by R
    """
    known = options(question, language)
    kind_of = getattr(question, "kind", "ordinal")
    open_ended = kind_of if kind_of in ("text", "identifier") else ""
    found: dict[str, tuple[str, Any]] = {}
    for text in texts:
        told = plain(text)
        if text.startswith(MARK):
            found[text] = ("reason", text[1:])
        elif told in {"", *empty}:
            found[text] = ("reason", "skipped")
        elif open_ended:
            declared = _code(told, question.reasons())
            found[text] = ("reason", declared) if declared else ("code", told if open_ended == "identifier" else text)
        else:
            told = plain(str((codes or {}).get(told, told)))
            found[text] = _meaning(told, plain((labels or {}).get(told, "")), question, known)
            if found[text][0] == "fault" and "&" in told:  # a platform that writes labels as it keeps them: &quot;
                found[text] = _meaning(plain(html.unescape(told)), "", question, known)
    if kind_of == "numeric":
        found |= _numbers([text for text, (kind, _) in found.items() if kind == "fault"], question)
    picked = {kind: {text: what for text, (k, what) in found.items() if k == kind} for kind in MEANINGS}
    values = picked["code"] | picked["label"] | picked["either"]
    return Answers(values, picked["reason"], frozenset(picked["label"]), frozenset(picked["code"]), picked["fault"])


MEANINGS = ("code", "label", "either", "reason", "fault")
Options = tuple[dict[str, Any], dict[str, set[Any]], dict[str, str]]


def _meaning(told: str, stored: str, question: Any, known: Options) -> tuple[str, Any]:
    """What one text means: ('code', 'label' or 'either', value), ('reason', reason) or ('fault', why).

    A label stored in the file for that code says more than the code: it is looked up first.
    """
    allowed, by_label, missing = known
    for text, kind in ((stored, "label"), (told, "code"), (told, "label")):
        table: Mapping[str, Any] = allowed if kind == "code" else _certain(by_label)
        if text and (code := _code(text, table)) is not None:
            same = (_certain(by_label).get(told) == code and told in allowed) or str(code) == told != text
            return ("either" if same else kind), code
        if text and (reason := _code(text, missing)) is not None:
            return "reason", reason
    if (code := _both(told, allowed, by_label, missing)) is not None:
        return code
    scale = getattr(question, "scale", None)
    if NEGATIVE_ZERO.fullmatch(told):
        return "fault", "a negative zero"
    if scale is not None and not scale.points and re.fullmatch(r"[+-]?\d+(\.0*)?", told):
        if scale.minimum <= float(told) <= scale.maximum:
            return "code", int(float(told))
        return "fault", "a number outside the range"
    if len(by_label.get(told, ())) > 1:
        return "fault", "a label that stands for two codes"
    return "fault", _why(told)


CODE_AND_LABEL = (
    re.compile(r"(?P<code>[+-]?\w+)\s*[-–:.=)]\s*(?P<label>.*\S)"),
    re.compile(r"(?P<label>.*\S)\s*[(\[](?P<code>[+-]?\w+)[)\]]"),
)


def _both(
    told: str, allowed: Mapping[str, Any], by_label: Mapping[str, set[Any]], missing: Mapping[str, str]
) -> tuple[str, Any] | None:
    """A label in other capitals, or a label with its own code before or behind it ('1 - never', 'never (1)')."""
    folded: dict[str, set[Any]] = {}
    for label, codes in by_label.items():
        folded.setdefault(label.casefold(), set()).update(codes)
    reasons = {text.casefold(): reason for text, reason in missing.items()}
    labels = _certain(folded)
    if (key := told.casefold()) in labels or key in reasons:
        return ("label", labels[key]) if key in labels else ("reason", reasons[key])
    for pattern in CODE_AND_LABEL:
        if match := pattern.fullmatch(told):
            code, label = match["code"], match["label"].casefold()
            if label in labels and _code(code, allowed) == labels[label]:
                return "label", labels[label]
            if label in reasons and _code(code, missing) == reasons[label]:
                return "reason", reasons[label]
    return None


def _certain(by_label: Mapping[str, set[Any]]) -> dict[str, Any]:
    return {label: next(iter(codes)) for label, codes in by_label.items() if len(codes) == 1}


NEGATIVE_ZERO = re.compile(r"-0+([.,]0*)?([eE][+-]?\d+)?")


def _code(told: str, allowed: Mapping[str, Any]) -> Any:
    """The code that a text spells, also as '3.0' or '3,0'; None when it is none."""
    if told in allowed:
        return allowed[told]
    whole = re.fullmatch(r"([+-]?\d+)(\.0*|,00?)", told)
    if whole and NEGATIVE_ZERO.fullmatch(told):
        return None
    return allowed.get(str(int(whole[1]))) if whole else None


DATELIKE = re.compile(
    r"\d{1,2}[-. /](jan|feb|mar|apr|maj|may|jun|jul|aug|sep|okt|oct|nov|dec)\w*|\d{4}-\d\d-\d\d.*|"
    r"(jan|feb|mar|apr|maj|may|jun|jul|aug|sep|okt|oct|nov|dec)\w*[-. /]\d{1,4}",
    re.IGNORECASE,
)


def _why(told: str) -> str:
    if DATELIKE.fullmatch(told):
        return "a date, as spreadsheets make of codes such as 3-5"
    if re.fullmatch(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?", told):
        return "a number outside the options"
    return "a text that is no label of this question"


NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?")
COMMA = re.compile(r"[+-]?\d+,\d+")


def _numbers(texts: Sequence[str], question: Any) -> dict[str, tuple[str, Any]]:
    """The texts as numbers; a decimal comma only where it cannot be anything else."""
    told = {text: plain(text) for text in texts}
    commas = [words for words in told.values() if COMMA.fullmatch(words)]
    points = any("." in words for words in told.values())
    certain = any(len(words.split(",")[1]) != 3 for words in commas)
    low, high = (question.minimum, question.maximum)

    def read(words: str) -> tuple[str, Any]:
        comma = COMMA.fullmatch(words)
        if comma and points:
            return "fault", "a decimal comma in a column that also has decimal points"
        if comma and not certain:
            return "fault", "a comma that may mark decimals or thousands"
        if not comma and not NUMBER.fullmatch(words):
            return "fault", "no number"
        if NEGATIVE_ZERO.fullmatch(words):
            return "fault", "a negative zero"
        number = float(words.replace(",", "."))
        if (low is not None and number < low) or (high is not None and number > high) or abs(number) > 1e150:
            return "fault", "a number outside the range"
        return "code", number

    return {text: read(words) for text, words in told.items()}


def mixed(answers: Answers) -> tuple[int, int] | None:
    """How many different texts were read as codes and as labels, when a column mixes both; else None."""
    used = len(answers.coded), len(answers.labelled)
    return used if all(used) else None


def allowed_answers(question: Any) -> str:
    """The allowed answers of a question, in words, for a message."""
    codes = options(question)[0]
    scale = getattr(question, "scale", None)
    if scale is not None and not scale.points:
        return f"{scale.minimum} to {scale.maximum}"
    if getattr(question, "kind", "") == "numeric":
        low, high = question.minimum, question.maximum
        return f"numbers{f' from {low:g}' if low is not None else ''}{f' to {high:g}' if high is not None else ''}"
    extra = [one.code for one in (scale if scale is not None else question).missing]
    return listed([*codes, *extra], 14)
