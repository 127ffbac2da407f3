"""A survey that extends another one: the base stays as it is, every change is recorded and applied.

``extends: cocreation`` with ``changes:`` in a survey file. Each change has a kind (typo, wording,
translation, scale, added, dropped), names an id, and is applied to the base's files in memory
before they are checked, so that a message points at the change that caused it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256

from cocoanalysis.errors import listed, suggestion
from cocoanalysis.instrument.findings import Finding, fault
from cocoanalysis.instrument.yamlfile import Node, Source, copied

MERGED = ("blocks", "scores", "forms")  # maps of the survey that are joined key by key
NOT_INHERITED = ("samples", "changelog")  # answers to the base are no answers to its extension
NOT_TAKEN_OVER = ("extends", "changes", "instruments")
WORDS = ("text", "label", "stem", "question")
ALLOWED = {
    "typo": {"text", "label", "stem", "question"},
    "wording": {"text", "label", "stem", "question", "key"},
    "translation": {"text", "label", "stem", "question"},
    "scale": {"scale", "key", "score"},
    "added": {"item", "to", "after"},
    "dropped": set(),
}


@dataclass
class Extension:
    """The base's sources while the changes are made, and the faults of the changes."""

    survey: Source
    instruments: list[Source]
    faults: list[Finding] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)  # blocks of a planned form that lost an item

    def fault(self, node: Node, code: str, sentence: str) -> None:
        self.faults.append(fault(node.place, code, sentence))


def extended(source: Source, base: Source, instruments: list[Source]) -> tuple[Source, list[Source], list[Finding]]:
    """The survey's source with all that it takes from its base, and the changed instruments.

    All three sources have passed the file form; the base's are copied before they are changed.
    """
    base, *instruments = (replace(one, root=copied(one.root)) for one in (base, *instruments))
    extension = Extension(base, instruments)
    for change in _list(source.root, "changes"):
        _apply(extension, change)
    _forget_dropped(extension)
    root = _joined(base.root, source.root)
    digest = sha256(f"{base.sha256}{source.sha256}".encode()).hexdigest()
    return replace(source, root=root, sha256=digest), instruments, extension.faults


def _joined(base: Node, own: Node) -> Node:
    """The base's keys, replaced by the extension's own; blocks, scores and forms are joined."""
    values = {key: node for key, node in base.value.items() if key not in (*NOT_INHERITED, "extends", "changes")}
    keys = {key: base.keys[key] for key in values}
    for key, node in own.value.items():
        if key == "instruments":
            continue  # they are read beside the base's, and the file form has seen them
        if key in MERGED and key in values and isinstance(node.value, dict) and isinstance(values[key].value, dict):
            old = values[key]
            node = Node(old.value | node.value, node.place, old.keys | node.keys)
        values[key], keys[key] = node, own.keys[key]
    return Node(values, own.place, keys)


def _apply(extension: Extension, change: Node) -> None:
    """One change, when what it says fits its kind."""
    said = change.value
    kind = said["kind"].value
    extra = set(said) - ALLOWED[kind] - {"kind", "id", "note"}
    for key in sorted(extra):
        allowed = sorted(ALLOWED[kind]) or ["nothing else"]
        extension.fault(said[key], "NotThisKind", f"A change of kind '{kind}' takes {listed(allowed)}, not '{key}'.")
    if extra:
        return
    if kind == "added":
        _add(extension, change)
    elif kind == "dropped":
        _drop(extension, change)
    else:
        _reword(extension, change)


def _entries(source: Source) -> Iterator[tuple[list[Node], int, Node]]:
    """Constructs, items and background questions: (the list they stand in, position, entry)."""
    for key in ("constructs", "background"):
        entries = _list(source.root, key)
        for position, entry in enumerate(entries):
            yield entries, position, entry
            items = _list(entry, "items")
            yield from ((items, place, item) for place, item in enumerate(items))


def _list(node: Node, key: str) -> list[Node]:
    inner = node.value.get(key)
    return [] if inner is None else inner.value


def _id(entry: Node) -> str:
    return str(entry.value["id"].value) if "id" in entry.value else ""


def _target(extension: Extension, change: Node, key: str = "id") -> tuple[Source, list[Node], int, Node] | None:
    """The entry a change names, with where it stands; an unknown id is a fault."""
    if key not in change.value:
        extension.fault(change, "MissingKey", f"The change needs the key '{key}': which {_what(key)} is meant?")
        return None
    wanted = change.value[key]
    known: list[str] = []
    for source in extension.instruments:
        for entries, position, entry in _entries(source):
            if _id(entry) == wanted.value:
                return source, entries, position, entry
            known.append(_id(entry))
    sentence = f"The base has no construct, item or background question '{wanted.value}'."
    extension.fault(wanted, "UnknownName", sentence + suggestion(str(wanted.value), known))
    return None


def _what(key: str) -> str:
    return "construct" if key == "to" else "construct, item or background question"


def _reword(extension: Extension, change: Node) -> None:
    found = _target(extension, change)
    if found is None:
        return
    source, _, _, entry = found
    for key in change.value.keys() - {"kind", "id", "note"}:
        new = change.value[key]
        if key in WORDS and not _takes(entry, key):
            extension.fault(new, "NotThisKind", f"'{_id(entry)}' has no '{key}'.")
            continue
        if key in WORDS:
            _set(entry, key, _merged(entry.value.get(key), new), change)
            _declare_languages(source, new)
        elif key == "scale":
            _bring_scale(extension, source, new)
            _set(entry, key, new, change)
        else:
            _set(entry, key, new, change)


def _takes(entry: Node, key: str) -> bool:
    """Items have a text, constructs a label and a stem, background questions a label and a question."""
    if "text" in entry.value:
        return key == "text"
    return key == "label" or key == ("stem" if "items" in entry.value else "question")


def _set(entry: Node, key: str, node: Node, change: Node) -> None:
    entry.value[key] = node
    entry.keys[key] = change.keys.get(key, node.place)


def _merged(old: Node | None, new: Node) -> Node:
    """Words joined language by language; a form of address keeps the words that do not change."""
    if old is None or not isinstance(old.value, dict) or not isinstance(new.value, dict):
        return new
    old_addressed, new_addressed = ({"self", "other"} & set(node.value) for node in (old, new))
    if old_addressed and not new_addressed:
        new = Node(dict.fromkeys(old_addressed, new), new.place, dict.fromkeys(old_addressed, new.place))
    if new_addressed and not old_addressed:
        both = ("other", "self")
        old = Node(dict.fromkeys(both, old), old.place, dict.fromkeys(both, old.place))
    values, keys = dict(old.value), old.keys | new.keys
    for key, node in new.value.items():
        values[key] = _merged(values.get(key), node) if isinstance(node.value, dict) else node
    return Node(values, new.place, keys)


def _languages_in(words: Node) -> Iterator[tuple[str, Node]]:
    for key, node in words.value.items() if isinstance(words.value, dict) else []:
        if isinstance(node.value, dict):
            yield from _languages_in(node)
        elif key not in ("self", "other"):
            yield key, node


def _declare_languages(source: Source, words: Node) -> None:
    """An instrument that gets words in a further language is in that language too."""
    languages = source.root.value.get("languages")
    for language, node in _languages_in(words):
        if (
            languages
            and isinstance(languages.value, list)
            and language not in [known.value for known in languages.value]
        ):
            languages.value.append(Node(language, node.place))


def _bring_scale(extension: Extension, source: Source, name: Node) -> None:
    """A scale that another instrument of the base defines comes along."""
    scales = source.root.value.get("scales")
    if scales is None or name.value in scales.value:
        return
    for other in extension.instruments:
        defined = other.root.value.get("scales")
        if defined is not None and name.value in defined.value:
            scales.value[name.value] = defined.value[name.value]
            scales.keys[name.value] = defined.keys[name.value]
            return


def _add(extension: Extension, change: Node) -> None:
    """A new item in a construct of the base, at the end or after another item."""
    if "item" not in change.value:
        extension.fault(change, "MissingKey", "A change of kind 'added' needs 'item:' with id and text, and 'to:'.")
        return
    found = _target(extension, change, "to")
    if found is None:
        return
    construct = found[3]
    if "items" not in construct.value:
        extension.fault(change.value["to"], "NotAConstruct", f"'{_id(construct)}' is no construct and takes no items.")
        return
    items = construct.value["items"].value
    position = len(items)
    if "after" in change.value:
        after = [index for index, item in enumerate(items) if _id(item) == change.value["after"].value]
        if not after:
            sentence = f"'{_id(construct)}' has no item '{change.value['after'].value}'."
            extension.fault(change.value["after"], "UnknownName", sentence)
            return
        position = after[0] + 1
    items.insert(position, change.value["item"])
    item = change.value["item"].value
    if isinstance(item, dict) and "text" in item:
        _declare_languages(found[0], item["text"])


def _drop(extension: Extension, change: Node) -> None:
    found = _target(extension, change)
    if found is None:
        return
    _, entries, position, entry = found
    items = _list(entry, "items")
    extension.dropped |= {_id(entry), *(_id(item) for item in items)}
    extension.emptied |= {item.value["block"].value for item in [entry, *items] if "block" in item.value}
    if "text" in entry.value and len(entries) == 1:
        extension.fault(change.value["id"], "EmptyConstruct", f"'{_id(entry)}' is the last item; drop its construct.")
        return
    del entries[position]


def _forget_dropped(extension: Extension) -> None:
    """What was dropped leaves blocks, scores, forms, the order and marks of overlap, too."""
    gone = extension.dropped
    survey = extension.survey.root.value
    emptied = set(extension.emptied)
    for source in extension.instruments:
        for _, _, entry in _entries(source):
            _prune(entry.value.get("overlap"), gone)
            emptied -= {entry.value["block"].value} if "block" in entry.value else set()
    for design in survey["forms"].value.values() if "forms" in survey else []:
        for part in _list(design, "parts"):
            _prune(part, emptied)
    for key in ("blocks", "scores"):
        entries = survey[key].value if key in survey else {}
        for name, entry in list(entries.items()):
            members = entry.value.get("of") if isinstance(entry.value, dict) else entry
            _prune(members, gone)
            if members is not None and members.value == []:
                gone.add(name)
                del entries[name]
    _prune(survey.get("order"), gone)


def _prune(node: Node | None, gone: Iterable[str]) -> None:
    if node is not None and isinstance(node.value, list):
        node.value[:] = [inner for inner in node.value if inner.value not in gone]
