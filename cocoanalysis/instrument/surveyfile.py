"""A survey file and its instruments → Survey: blocks, scores, forms, order, samples."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cocoanalysis.errors import listed, suggestion
from cocoanalysis.instrument import fileform as form
from cocoanalysis.instrument import wording as _wording  # noqa: F401  # registers its checks
from cocoanalysis.instrument.checking import doubts_of
from cocoanalysis.instrument.findings import Finding, Place, fault, refuse
from cocoanalysis.instrument.instrumentfile import changes, instrument_from, prose, prose_words, version_faults
from cocoanalysis.instrument.model import (
    Address,
    Background,
    Change,
    Construct,
    Form,
    Instrument,
    Item,
    Sample,
    Score,
    ScorePart,
    Survey,
)
from cocoanalysis.instrument.validation import fit
from cocoanalysis.instrument.yamlfile import Source


def survey_from(source: Source, instruments: Iterable[Source], faults: Iterable[Finding] = ()) -> Survey:
    """A survey from sources that are already read; raises all their faults together."""
    faults = list(faults)
    faults += version_faults(source)
    file, misfits = fit(source, form.SurveyFile)
    faults += misfits
    sources = list(instruments)
    made: list[Instrument] = []
    for inner in sources:
        instrument, wrong = instrument_from(inner)
        faults += wrong
        made += [instrument] if instrument else []
    if file is not None and not sources and not faults:
        place = source.place("instruments")
        faults.append(
            fault(place, "EmptyInstrument", "The survey names no instruments; list them under 'instruments:'.")
        )
    refuse(faults)
    if file is None:
        raise RuntimeError("a survey without faults was not built")
    return _Assembly(file, [source, *sources], made).survey()


class _Assembly:
    """One survey file and its instruments on their way to a Survey."""

    def __init__(self, file: form.SurveyFile, sources: list[Source], instruments: list[Instrument]):
        self.file, self.sources, self.instruments = file, sources, instruments
        self.source = sources[0]
        self.faults: list[Finding] = []
        self.places: dict[str, Place] = {}
        self.constructs: dict[str, Construct] = {}
        self.items: dict[str, Item] = {}
        self.background: dict[str, Background] = {}
        self.scores: dict[str, Score] = {}

    def fault(self, steps: Iterable[str | int], code: str, sentence: str, *, key: bool = False) -> None:
        self.faults.append(fault(self.source.place(*steps, key=key), code, sentence))

    def survey(self) -> Survey:
        self._collect()
        self._check_names()
        self._check_blocks()
        for name in self.file.scores:
            self._score(name, ())
        self._check_forms()
        self._check_order_and_columns()
        self._check_samples()
        refuse(self.faults)
        return self._made()

    def _collect(self) -> None:
        """All ids of all instruments; an id of two instruments is a fault with both places."""
        for instrument in self.instruments:
            for id, place in instrument.places.items():
                if id in self.places:
                    sentence = f"The id '{id}' stands in two instruments: here and at {self.places[id]}."
                    self.faults.append(fault(place, "DuplicateId", sentence))
                self.places.setdefault(id, place)
            self.constructs |= instrument.constructs
            self.items |= instrument.items
            self.background |= instrument.background

    def _check_names(self) -> None:
        """Names of blocks and scores must not be taken by something else."""
        for kind, names in (("blocks", self.file.blocks), ("scores", self.file.scores)):
            for name in names:
                if name in self.places or (kind == "scores" and name in self.file.blocks):
                    other = self.places.get(name, self.source.place("blocks", name, key=True))
                    sentence = f"The name '{name}' is already taken at {other}; give this one another name."
                    self.fault((kind, name), "DuplicateId", sentence, key=True)

    def _check_blocks(self) -> None:
        for name, members in self.file.blocks.items():
            for index, id in enumerate(members):
                self._known(id, self.constructs, ("blocks", name, index), "construct", f"the block '{name}'")

    def _known(self, id: str, known: Iterable[str], steps: tuple[str | int, ...], what: str, owner: str) -> bool:
        known = list(known)
        if id in known:
            return True
        sentence = (
            f"There is no {what} '{id}', which {owner} names.{suggestion(id, known)} There are {listed(known, 60)}."
        )
        self.fault(steps, "UnknownName", sentence)
        return False

    def _score(self, name: str, above: tuple[str, ...]) -> Score | None:
        """The score of that name, after those it is made of."""
        if name in self.scores:
            return self.scores[name]
        entry = self.file.scores[name]
        if name in above:
            self.fault(("scores", name), "Circular", f"The score '{name}' is made of itself.", key=True)
            return None
        parts: list[ScorePart] = []
        members = self._members(name, entry)
        for id in members:
            part = self._part(id, entry.without_overlap, (*above, name))
            parts += [part] if part else []
        items = tuple(dict.fromkeys(id for part in parts for id in part.items))
        if not items:
            return None
        self.scores[name] = Score(
            id=name,
            label=entry.label or dict.fromkeys(self.file.languages, name),
            of=tuple(members),
            rule=entry.rule,
            parts=tuple(parts),
            items=items,
            min_items=entry.min_items or math.ceil(len(items) / 2),
            min_scores=entry.min_scores or len(parts),
            without_overlap=entry.without_overlap,
        )
        return self.scores[name]

    def _members(self, name: str, entry: form.ScoreEntry) -> list[str]:
        """What a score is made of, blocks written out; names that do not exist are faults."""
        members: list[str] = []
        named = [entry.of] if isinstance(entry.of, str) else entry.of
        known = [*self.file.blocks, *self.file.scores, *self.constructs, *self.items]
        for index, id in enumerate(named):
            steps = ("scores", name, "of") if isinstance(entry.of, str) else ("scores", name, "of", index)
            if not self._known(id, known, steps, "construct, block, score or item", f"the score '{name}'"):
                continue
            inside = [one for one in self.file.blocks.get(id, [id]) if one in known]
            for member in inside:
                if member in members:
                    self.fault(steps, "DuplicateMember", f"'{member}' counts twice in the score '{name}'.")
                else:
                    members.append(member)
        return members

    def _part(self, id: str, without_overlap: bool, above: tuple[str, ...]) -> ScorePart | None:
        overlapping = self._overlapping() if without_overlap else set()
        if id in self.file.scores:
            score = self._score(id, above)
            if score is None:
                return None
            return ScorePart(
                name=id,
                items=score.items,
                rule="mean",
                min_items=min(score.min_items, len(score.items)),
                rescale="none",
            )
        if id in self.items:
            return ScorePart(name=id, items=(id,), rule="mean", min_items=1, rescale="none")
        construct = self.constructs[id]
        items = tuple(item for item in construct.items if item not in overlapping)
        rule = construct.score
        least = min(rule.min_items, len(items))
        if not items:
            return None
        return ScorePart(name=id, items=items, rule=rule.rule, min_items=least, rescale=rule.rescale)

    def _overlapping(self) -> set[str]:
        """Items that say nearly the same as another: those that name one and those that are named."""
        return {id for item in self.items.values() if item.overlap for id in (item.id, *item.overlap)}

    def _check_forms(self) -> None:
        """Tags and blocks of items must be those of the survey's forms."""
        if not self.file.forms:
            return
        tags = {"full", *self.file.forms}
        for name, entry in self.file.forms.items():
            if isinstance(entry, form.FormEntry) and entry.parts:
                known = {item.block for item in self.items.values() if item.block}
                for index, blocks in enumerate(entry.parts):
                    for position, block in enumerate(blocks):
                        self._known(block, sorted(known), ("forms", name, "parts", index, position), "block of items",
                                    f"the form '{name}'")  # fmt: skip
                if entry.common is not None:
                    self._known(entry.common, sorted(known), ("forms", name, "common"), "block of items",
                                f"the form '{name}'")  # fmt: skip
        for id, item in self.items.items():
            for tag in item.forms:
                if tag not in tags:
                    sentence = f"'{id}' belongs to the form '{tag}', which the survey does not define; it has "
                    sentence += f"{listed(sorted(tags))}.{suggestion(tag, tags)}"
                    self.faults.append(fault(self.places[id], "UnknownForm", sentence))

    def _check_order_and_columns(self) -> None:
        asked = ["consent", *self.file.blocks, *self.constructs, *self.background]
        seen: set[str] = set()
        for index, id in enumerate(self.file.order):
            if self._known(id, asked, ("order", index), "construct, block or background question", "the order") and (
                id in seen
            ):
                self.fault(("order", index), "DuplicateMember", f"'{id}' stands twice in the order.")
            seen.add(id)
        address = self.file.address
        if address and self._known(
            address.column, self.background, ("address", "column"), "background question", "the form of address"
        ):
            column = self.background[address.column]
            if column.kind == "multiple":
                sentence = f"Several answers may be given to '{address.column}', so it cannot tell the form of address."
                self.fault(("address", "column"), "AddressOfMultiple", sentence)
            for key, code in (("self", str(address.self_)), ("other", str(address.other))):
                if column.kind == "categorical":
                    self._known(code, column.categories, ("address", key), "category", f"the answer '{key}'")
        self._check_conditions()

    def _check_conditions(self) -> None:
        """What a display condition names must be asked, with those answers."""
        asked = [(id, construct.show_if) for id, construct in self.constructs.items()]
        asked += [(id, entry.show_if) for id, entry in self.background.items()]
        own = [item for item in self.items.values() if item.show_if != self.constructs[item.construct].show_if]
        asked += [(item.id, item.show_if) for item in own]
        for id, condition in asked:
            for other, codes in condition.items():
                known = set(self.background[other].categories) if other in self.background else None
                if other in self.items:
                    known = {str(code) for code in self.items[other].scale.codes}
                if known is None:
                    sentence = f"'{id}' is shown depending on '{other}', which nobody is asked."
                    sentence += suggestion(other, [*self.background, *self.items])
                    self.faults.append(fault(self.places[id], "UnknownName", sentence))
                elif wrong := [code for code in codes if known and code not in known]:
                    sentence = (
                        f"'{id}' is shown when '{other}' is {listed(wrong)}; its answers are {listed(sorted(known))}."
                    )
                    self.faults.append(fault(self.places[id], "UnknownCategory", sentence))

    def _check_samples(self) -> None:
        for index, sample in enumerate(self.file.samples):
            path = Path(sample.file)
            inside = (self.source.path.parent / path).resolve().is_relative_to(self.source.path.resolve().parent)
            if path.is_absolute() or not inside or "\\" in sample.file:
                sentence = f"'{sample.file}' leads out of the survey's folder; the sample must lie inside it."
                self.fault(("samples", index, "file"), "PathOutside", sentence)
            known = [*self.items, *self.background, *self._identifiers()]
            for id in sample.code_map:
                self._known(
                    id, known, ("samples", index, "code_map", id), "item or background question", "the code map"
                )

    def _identifiers(self) -> list[str]:
        names = self.file.identifiers
        return [name for name in (names.respondent, names.collaboration, names.organisation, names.cluster) if name]

    def _made(self) -> Survey:
        file, names = self.file, self.file.identifiers
        digest = hashlib.sha256("".join([self.source.sha256, *(i.sha256 for i in self.instruments)]).encode())
        survey = Survey(
            id=file.id,
            version=file.version,
            title=file.title,
            description=prose_words(file.description),
            licence=prose(file.licence),
            languages=tuple(file.languages),
            instruments=tuple(self.instruments),
            constructs=self.constructs,
            items=self.items,
            attention={id: item for id, item in self.items.items() if item.role == "attention"},
            background=self.background,
            blocks={name: tuple(members) for name, members in file.blocks.items()},
            scores={name: self.scores[name] for name in file.scores if name in self.scores},
            forms={name: _form(name, entry, file.languages) for name, entry in file.forms.items()},
            order=tuple(file.order) or (*self.background, *self.constructs),
            address=_address(file.address),
            respondent=names.respondent,
            collaboration=names.collaboration,
            organisation=names.organisation,
            cluster=names.cluster or names.collaboration,
            consent=file.consent or {},
            introduction=file.introduction or {},
            thanks=file.thanks or {},
            samples=tuple(_sample(sample) for sample in file.samples),
            changelog=(*changes(file.changelog, file.version), *applied(file.changes, file.version)),
            extends=file.extends,
            path=self.source.path,
            folder=self.source.path.parent,
            sha256=digest.hexdigest(),
            places=self.places,
            doubts=(),
        )
        return replace(survey, doubts=tuple(doubts_of(survey, self.sources)))


def applied(entries: Iterable[form.ChangeEntry], version: str) -> tuple[Change, ...]:
    """The changes that made this survey from its base, as entries of the change log."""
    named = [(entry, entry.id or (entry.item.id if entry.item else "")) for entry in entries]
    return tuple(Change(version=version, kind=entry.kind, ids=(id,), note=prose(entry.note)) for entry, id in named)


def _form(name: str, entry: Any, languages: Iterable[str]) -> Form:
    if isinstance(entry, form.FormEntry):
        label = entry.label or dict.fromkeys(languages, name)
        return Form(id=name, label=label, common=entry.common, parts=tuple(tuple(part) for part in entry.parts))
    return Form(id=name, label=entry, common=None, parts=())


def _address(entry: form.AddressEntry | None) -> Address | None:
    return Address(column=entry.column, self_=str(entry.self_), other=str(entry.other)) if entry else None


def _sample(entry: form.SampleEntry) -> Sample:
    return Sample(
        file=entry.file,
        provenance=entry.provenance,
        sha256=entry.sha256,
        code_map=entry.code_map,
        licence=prose(entry.licence),
        source=prose(entry.source),
        note=prose_words(entry.note),
    )
