"""An instrument file → Instrument: scales, constructs, items, background, and what refers to what.

Faults are collected with their places; `instrument_from` gives either the instrument or all of them.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cocoanalysis.errors import listed, suggestion
from cocoanalysis.instrument import fileform as form
from cocoanalysis.instrument.findings import Finding, Place, fault
from cocoanalysis.instrument.model import (
    Background,
    Change,
    Construct,
    Instrument,
    Item,
    MissingCode,
    Point,
    ResponseScale,
    ScoreRule,
    Translation,
)
from cocoanalysis.instrument.validation import fit
from cocoanalysis.instrument.yamlfile import Source

DIGITS = 9  # of a code: what every platform and file keeps
RESERVED = frozenset(keyword.kwlist) | {  # words that a formula, R, SPSS or Stata would take for its own
    "all", "by", "eq", "ge", "gt", "le", "lt", "ne", "to", "with", "function", "repeat", "next", "byte", "int",
    "long", "float", "double", "using", "null", "true", "false", "na", "nan", "inf", "level",
}  # fmt: skip


def version_faults(source: Source) -> list[Finding]:
    if not isinstance(source.root.value, dict) or "schema" not in source.root.value:
        return []
    version = source.root.value["schema"].value
    if isinstance(version, bool) or not isinstance(version, int) or version == form.SCHEMA_VERSION:
        return []
    known = form.SCHEMA_VERSION
    sentence = f"The file has the form 'schema: {version}'; this version of cocoanalysis reads schema {known}."
    hint = " Install a newer cocoanalysis." if version > known else f" Write 'schema: {known}'."
    return [fault(source.place("schema"), "VersionError" if version > known else "BadSchema", sentence + hint)]


@dataclass
class _Reader:
    """One instrument file on its way to an Instrument: the source, its form, the faults so far."""

    source: Source
    file: form.InstrumentFile
    faults: list[Finding]
    places: dict[str, Place]

    def fault(self, steps: Iterable[str | int], code: str, sentence: str, *, key: bool = False) -> None:
        self.faults.append(fault(self.source.place(*steps, key=key), code, sentence))


def instrument_from(source: Source) -> tuple[Instrument | None, list[Finding]]:
    versions = version_faults(source)
    if versions:
        return None, versions
    file, faults = fit(source, form.InstrumentFile)
    if file is None:
        return None, faults
    reader = _Reader(source, file, [], {})
    if not file.constructs and not file.background:
        reader.fault((), "EmptyInstrument", "The instrument asks nothing: it has neither constructs nor background.")
    _check_languages(reader)
    scales = {id: _scale(reader, id, scale) for id, scale in file.scales.items()}
    _check_ids(reader)
    constructs: dict[str, Construct] = {}
    items: dict[str, Item] = {}
    for number, entry in enumerate(file.constructs):
        construct, members = _construct(reader, number, entry, scales)
        constructs[construct.id] = construct
        items |= {item.id: item for item in members}
    background = {entry.id: _background(reader, number, entry) for number, entry in enumerate(file.background)}
    if reader.faults:
        return None, reader.faults
    return (
        Instrument(
            id=file.id,
            version=file.version,
            title=file.title,
            description=prose_words(file.description),
            licence=prose(file.licence),
            source=prose(file.source),
            languages=tuple(file.languages),
            translations={
                language: Translation(status=entry.status, translator=entry.translator or "")
                for language, entry in file.translations.items()
            },
            changelog=changes(file.changelog, file.version),
            scales={id: scale for id, scale in scales.items() if scale is not None},
            constructs=constructs,
            items=items,
            background=background,
            path=source.path,
            sha256=source.sha256,
            places=reader.places,
        ),
        [],
    )


def prose(text: str | Mapping[str, str] | None) -> str:
    """Descriptive text as one string, in the first language there is."""
    return text if isinstance(text, str) else next(iter(text.values()), "") if text else ""


def prose_words(text: str | Mapping[str, str] | None) -> dict[str, str]:
    """Descriptive text by language; plain text counts as English."""
    return {"en": text} if isinstance(text, str) else dict(text or {})


def changes(entries: Iterable[form.ChangeLogEntry], version: str) -> tuple[Change, ...]:
    return tuple(
        Change(version=entry.version or version, kind=entry.kind, ids=tuple(entry.ids), note=prose(entry.note))
        for entry in entries
    )


def _check_languages(reader: _Reader) -> None:
    """Texts may only be in the languages that the file declares."""
    declared = set(reader.file.languages)
    for steps, label in texts(reader.source):
        for language in label:
            if language not in declared:
                reader.fault(
                    (*steps, language),
                    "UnknownLanguage",
                    f"There is a text in '{language}', but the file's languages are {listed(reader.file.languages)}; "
                    "add it to 'languages:' or remove the text.",
                    key=True,
                )


TEXT_KEYS = {"label", "text", "stem", "question", "title", "unit", "consent", "introduction", "thanks"}


def texts(source: Source) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Every text of the file by language, with the steps that lead to it; forms of address apart."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), source.data)]
    while stack:
        steps, value = stack.pop()
        if isinstance(value, list):
            stack += [((*steps, index), inner) for index, inner in enumerate(value)]
        if not isinstance(value, dict):
            continue
        if steps and steps[-1] in TEXT_KEYS:
            if {"self", "other"} & set(value):
                yield from (((*steps, address), words) for address, words in value.items() if isinstance(words, dict))
            else:
                yield steps, value
        else:
            stack += [((*steps, key), inner) for key, inner in value.items()]


def _check_ids(reader: _Reader) -> None:
    """Ids of constructs, items and background stand once and are no reserved words."""
    for id, steps in ids_of(reader.file):
        where = (*steps, "id")
        if id in reader.places:
            first = reader.places[id]
            reader.fault(where, "DuplicateId", f"The id '{id}' stands twice: here and at {first}. Rename one of them.")
            continue
        reader.places[id] = reader.source.place(*where)
        if id in RESERVED:
            reader.fault(
                where,
                "ReservedId",
                f"'{id}' is a word of a formula language or of a statistics program and cannot be an id; "
                f"write '{id}1', for example.",
            )


def ids_of(file: form.InstrumentFile) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for number, construct in enumerate(file.constructs):
        yield construct.id, ("constructs", number)
        for position, item in enumerate(construct.items):
            yield item.id, ("constructs", number, "items", position)
    for number, entry in enumerate(file.background):
        yield entry.id, ("background", number)


def _scale(reader: _Reader, id: str, entry: form.ScaleEntry) -> ResponseScale | None:
    where = ("scales", id)
    seen: dict[str, Place] = {}
    coded = [("points", index, str(point.code)) for index, point in enumerate(entry.points)]
    coded += [("missing", index, str(point.code)) for index, point in enumerate(entry.missing)]
    for kind, index, code in coded:
        place = reader.source.place(*where, kind, index, "code")
        if code in seen:
            sentence = f"The code {code} stands twice in the scale '{id}'; the first is at {seen[code]}."
            reader.faults.append(fault(place, "DuplicateCode", sentence))
        if len(code.lstrip("-")) > DIGITS and code.lstrip("-").isdigit():
            sentence = f"The code {code} of the scale '{id}' has more than {DIGITS} digits, which no platform keeps."
            reader.faults.append(fault(place, "CodeTooLong", sentence))
        seen.setdefault(code, place)
    codes = [point.code for point in entry.points]
    low, high = entry.minimum, entry.maximum
    if codes:
        low, high = min(codes), max(codes)
        if (entry.minimum, entry.maximum) not in ((None, None), (low, high)):
            reader.fault(
                where, "RangeContradicts", f"minimum and maximum of '{id}' must be {low} and {high}, its codes."
            )
    if len(codes) == 1 or low is None or high is None or low >= high:
        reader.fault(
            where, "EmptyScale", f"The scale '{id}' needs at least two points, or a minimum below a maximum.", key=True
        )
        return None
    points = sorted(entry.points, key=lambda point: point.code)
    return ResponseScale(
        id=id,
        title=entry.title or {},
        points=tuple(Point(code=point.code, label=point.label) for point in points),
        missing=missing_codes(entry.missing),
        minimum=low,
        maximum=high,
    )


def missing_codes(entries: Iterable[form.MissingEntry]) -> tuple[MissingCode, ...]:
    return tuple(MissingCode(code=str(entry.code), reason=entry.reason, label=entry.label) for entry in entries)


def _construct(
    reader: _Reader, number: int, entry: form.ConstructEntry, scales: Mapping[str, ResponseScale | None]
) -> tuple[Construct, list[Item]]:
    where = ("constructs", number)
    scale = _named_scale(reader, where, entry.scale, scales)
    stem, stem_by_address = worded(entry.stem)
    show_if = conditions(entry.show_if)
    members = []
    for position, item in enumerate(entry.items):
        place = (*where, "items", position)
        own = scale if item.scale is None else _named_scale(reader, place, item.scale, scales)
        _check_item(reader, place, item, entry, own)
        _remember_texts(reader, place, item)
        members += [_item(item, entry, own)] if own else []
    count = len(entry.items)
    least = entry.score.min_items or math.ceil(count / 2)
    if least > count:
        sentence = f"min_items is {least}, but '{entry.id}' has {count} items; at most {count} is possible."
        reader.fault((*where, "score", "min_items"), "TooManyNeeded", sentence)
    construct = Construct(
        id=entry.id,
        label=entry.label,
        definition=prose_words(entry.definition),
        point=entry.point,
        proposition=entry.proposition or entry.point,
        role=entry.role,
        items=tuple(item.id for item in entry.items),
        scale=scale,
        composite=entry.composite,
        score=ScoreRule(rule=entry.score.rule, min_items=least, rescale=entry.score.rescale),
        stem=stem,
        stem_by_address=stem_by_address,
        source=prose(entry.source),
        random_order=entry.random_order,
        show_if=show_if,
        instrument=reader.file.id,
    )
    return construct, members


def _named_scale(
    reader: _Reader, where: tuple[str | int, ...], name: str | None, scales: Mapping[str, ResponseScale | None]
) -> ResponseScale | None:
    if name is not None and name not in scales:
        reader.fault(
            (*where, "scale"),
            "UnknownScale",
            f"There is no scale '{name}'; the file defines {listed(scales) or 'none'}.{suggestion(name, scales)}",
        )
    return scales.get(name) if name else None


def _item(entry: form.ItemEntry, construct: form.ConstructEntry, scale: ResponseScale) -> Item:
    """An item with what it takes over from its construct: stem, role, condition."""
    text, by_address = worded(entry.text)
    stem, stem_by_address = worded(construct.stem)
    return Item(
        id=entry.id,
        construct=construct.id,
        role=construct.role,
        text=text,
        by_address=by_address,
        stem=stem,
        stem_by_address=stem_by_address,
        key=-1 if entry.key == "reverse" else 1,
        scale=scale,
        forms=tuple(entry.forms),
        block=entry.block,
        overlap=tuple(entry.overlap),
        source=prose(entry.source),
        status=dict(entry.status),
        expected=entry.expected,
        show_if=conditions(entry.show_if) or conditions(construct.show_if),
    )


def _check_item(
    reader: _Reader,
    where: tuple[str | int, ...],
    entry: form.ItemEntry,
    construct: form.ConstructEntry,
    scale: ResponseScale | None,
) -> None:
    """A scale to answer on, and an expected answer exactly where attention is checked."""
    if entry.scale is None and construct.scale is None:
        if entry.key == "reverse":
            sentence = f"'{entry.id}' is reverse-keyed but has no scale, so nothing says what the opposite answer is."
            reader.fault((*where, "key"), "ReverseWithoutScale", sentence + " Give it or its construct a 'scale:'.")
        else:
            sentence = f"'{entry.id}' has no scale; give it or its construct '{construct.id}' a 'scale:'."
            reader.fault((*where, "id"), "MissingScale", sentence)
    if construct.role == "attention" and entry.expected is None:
        sentence = f"'{entry.id}' checks attention; 'expected:' must say which answer passes."
        reader.fault((*where, "id"), "MissingExpected", sentence)
    if entry.expected is not None and scale is not None and scale.points and entry.expected not in scale.codes:
        sentence = f"expected is {entry.expected}, which '{scale.id}' does not offer; it offers {listed(scale.codes)}."
        reader.fault((*where, "expected"), "NotOnScale", sentence)


def _remember_texts(reader: _Reader, where: tuple[str | int, ...], entry: form.ItemEntry) -> None:
    """Where each wording of an item stands, as '<id>.<language>' and '<id>.<address>.<language>'."""
    text, by_address = worded(entry.text)
    plain = "" if by_address else ".text"
    for address, words in by_address.items():
        for language in words:
            reader.places[f"{entry.id}.{address}.{language}"] = reader.source.place(*where, "text", address, language)
    for language in text:
        steps = (*where, *(("text",) if plain else ("text", next(iter(by_address), ""))), language)
        reader.places[f"{entry.id}.{language}"] = reader.source.place(*steps)


def worded(wording: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """(words by language, words by form of address): 'other' stands for both where 'self' is missing."""
    if wording is None:
        return {}, {}
    if isinstance(wording, form.Addressed):
        by_address = {name: words for name, words in (("other", wording.other), ("self", wording.self_)) if words}
        return dict(next(iter(by_address.values()), {})), {name: dict(words) for name, words in by_address.items()}
    return dict(wording), {}


def conditions(entry: Mapping[str, Iterable[Any]]) -> dict[str, tuple[str, ...]]:
    return {id: tuple(str(code) for code in codes) for id, codes in entry.items()}


def _check_multiple(reader: _Reader, where: tuple[str | int, ...], entry: form.BackgroundEntry) -> None:
    """Each answer becomes a column named after its code, so codes must be fit for names, also where case is lost."""
    seen: dict[str, str] = {}
    for index, category in enumerate(entry.categories):
        code, place = str(category.code), (*where, "categories", index, "code")
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_]*[A-Za-z0-9])?", code) or "__" in code:
            sentence = (
                f"Several answers may be given to '{entry.id}', so each gets a column of its own, named after its "
            )
            sentence += f"code; '{code}' is no such name. Use letters, digits and single '_' between them."
            reader.fault(place, "CodeNoName", sentence)
        elif code.lower() in seen and code != seen[code.lower()]:
            sentence = f"The codes '{seen[code.lower()]}' and '{code}' of '{entry.id}' differ in case only."
            reader.fault(place, "DuplicateCode", sentence)
        seen.setdefault(code.lower(), code)
    if entry.reference is not None:
        sentence = f"Several answers may be given to '{entry.id}', so none of them is a reference; remove this line."
        reader.fault((*where, "reference"), "ReferenceOfMultiple", sentence)


def _background(reader: _Reader, number: int, entry: form.BackgroundEntry) -> Background:
    where = ("background", number)
    codes = [str(category.code) for category in entry.categories]
    taken = codes + [str(code.code) for code in entry.missing]
    for code in sorted({code for code in taken if taken.count(code) > 1}):
        reader.fault((*where, "categories"), "DuplicateCode", f"The code '{code}' stands twice in '{entry.id}'.")
    if entry.kind in ("categorical", "multiple") and not codes:
        reader.fault((*where, "kind"), "MissingCategories", f"'{entry.id}' is {entry.kind}; list its 'categories:'.")
    if entry.kind == "multiple":
        _check_multiple(reader, where, entry)
    elif entry.kind != "categorical" and codes:
        reader.fault((*where, "categories"), "NotCategorical", f"'{entry.id}' is {entry.kind} and takes no categories.")
    if entry.reference is not None and str(entry.reference) not in codes:
        sentence = f"The reference '{entry.reference}' is no category of '{entry.id}'; it has {listed(codes)}."
        reader.fault((*where, "reference"), "UnknownCategory", sentence + suggestion(str(entry.reference), codes))
    question, by_address = worded(entry.question)
    return Background(
        id=entry.id,
        label=entry.label,
        question=question or entry.label,
        question_by_address=by_address,
        kind=entry.kind,
        level=entry.level,
        categories={str(category.code): category.label for category in entry.categories},
        missing=missing_codes(entry.missing),
        minimum=entry.minimum,
        maximum=entry.maximum,
        unit=entry.unit or {},
        personal=entry.personal,
        reference=None if entry.reference is None else str(entry.reference),
        asked=entry.asked,
        show_if=conditions(entry.show_if),
    )
