"""A YAML file as plain values that remember their places.

The reader takes YAML 1.2 without anchors, aliases and tags; a key stands once. Values are
null, true/false, whole and decimal numbers, and text: ``no``, ``on``, ``1_000`` and ``012``
are text, as YAML 1.2 has it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from cocoanalysis.arguments import file_path
from cocoanalysis.errors import CocoError, InstrumentError
from cocoanalysis.instrument.findings import Finding, Place, fault, refuse, shown

MOST_BYTES = 4_000_000
MOST_NODES = 200_000
DEEPEST = 30
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
NAMED: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
NAMED |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the file with its place; a mapping also knows where its keys stand."""

    value: Any  # dict[str, Node] | list[Node] | scalar
    place: Place
    keys: dict[str, Place] = field(default_factory=dict)

    def plain(self) -> Any:
        """The value without places: dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def copied(node: Node) -> Node:
    """A node whose dicts and lists may be changed without changing the file's own."""
    if isinstance(node.value, dict):
        return Node({key: copied(inner) for key, inner in node.value.items()}, node.place, dict(node.keys))
    if isinstance(node.value, list):
        return Node([copied(inner) for inner in node.value], node.place)
    return node


@dataclass(frozen=True)
class Source:
    """A file that has been read: its values, its places, and the fingerprint of its bytes."""

    path: Path
    file: str
    root: Node
    sha256: str

    @property
    def data(self) -> Any:
        return self.root.plain()

    def place(self, *steps: str | int, key: bool = False) -> Place:
        """Where the value under these steps stands (or its key); as near as the file goes."""
        node, where = self.root, self.root.place
        for step in steps:
            inside = node.value
            if isinstance(inside, dict) and step in inside:
                where = node.keys[str(step)] if key else inside[step].place
                node = inside[step]
            elif isinstance(inside, list) and isinstance(step, int) and step < len(inside):
                node = inside[step]
                where = node.place
        return where


def read_yaml(path: str | Path, *, error: type[CocoError] = InstrumentError) -> Source:
    """Read one YAML file with the place of every value.

    Parameters
    ----------
    path : the file
    error : the kind of CocoError that faults of this file raise

    Raises
    ------
    CocoError of that kind: NoSuchFile, TooLarge, EncodingError, YamlSyntax, EmptyInstrument,
        AnchorOrAlias, Tag, DuplicateKey, NotAKey, SeveralDocuments, TooDeep
    """
    path = file_path(path, "A YAML file", error)
    raw = _bytes(path, error)
    return parse_yaml(raw, path, error=error)


def parse_yaml(raw: bytes, path: Path, *, error: type[CocoError] = InstrumentError) -> Source:
    """The same for bytes that are already read; ``path`` only names them."""
    kind: Any = error  # a class is hashable, but not by the signature that the cache declares
    return _parsed(raw, path, shown(path), kind)


@lru_cache(maxsize=32)
def _parsed(raw: bytes, path: Path, file: str, error: type[CocoError]) -> Source:
    """One file is parsed once as long as its bytes stay the same; nobody changes a source (see `copied`)."""
    text = _decoded(raw, file, error)
    builder = _Builder(file, error)
    try:
        root = builder.document(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        refuse([*builder.faults, fault(place, "YamlSyntax", _in_words(problem))], error)
        raise
    except (YAMLError, RecursionError, ValueError) as problem:
        place = Place(file, 1, 1)
        refuse([fault(place, "YamlSyntax", f"This is not YAML ({type(problem).__name__}).")], error)
        raise
    refuse(builder.faults, error)
    if root is None or root.value in (None, {}, []):
        sentence = "The file is empty; it should begin with 'schema: 1' and 'id:'."
        refuse([fault(Place(file, 1, 1), "EmptyInstrument", sentence)], error)
        raise EOFError(file)  # refuse has raised: this line only narrows the type
    return Source(path, file, root, sha256(raw).hexdigest())


HINTS = {  # what the parser says → what the writer of the file can do
    "block mapping|block sequence|block collection": "lines that belong together begin in the same column",
    "flow mapping|flow sequence": "a '{' or '[' is not closed, or a comma or a quote is missing before this place",
    "quoted scalar|end of stream": "a quote is not closed",
    "mapping values are not allowed": "a text with ': ' in it goes in quotes, and a key begins its line",
    "cannot start any token": "indent with blanks, not with tabs, and put a text that begins like this in quotes",
    "could not find expected ':'": "after a key comes a colon and a blank",
}


def _in_words(problem: MarkedYAMLError) -> str:
    said = "; ".join(str(part) for part in (problem.context, problem.problem) if part)
    hint = next((hint for pattern, hint in HINTS.items() if re.search(pattern, said)), "")
    return f"This is not YAML ({said})" + (f": {hint}." if hint else ".")


def _bytes(path: Path, error: type[CocoError]) -> bytes:
    place = Place(shown(path), 1, 1)
    if not path.is_file():
        refuse([fault(place, "NoSuchFile", f"There is no file '{shown(path)}'.")], error)
    if path.stat().st_size > MOST_BYTES:
        sentence = f"The file has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read."
        refuse([fault(place, "TooLarge", sentence)], error)
    return path.read_bytes()


def _decoded(raw: bytes, file: str, error: type[CocoError]) -> str:
    """UTF-8 text with line feeds; every other encoding is an error that names the byte."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _encoding(raw, 0, file, "it begins with the mark of UTF-16", error)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise _encoding(raw, problem.start, file, f"0x{raw[problem.start]:02x} is not UTF-8", error) from None
    if found := CONTROL.search(text):
        offset = len(text[: found.start()].encode()) + (3 if raw.startswith(b"\xef\xbb\xbf") else 0)
        raise _encoding(raw, offset, file, f"0x{ord(found[0]):02x} is a control character", error)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(raw: bytes, offset: int, file: str, cause: str, error: type[CocoError]) -> Exception:
    before = raw[:offset]
    place = Place(file, before.count(b"\n") + 1, offset - (before.rfind(b"\n") + 1) + 1)
    sentence = f"The file cannot be read as text (byte {offset}: {cause}); save it as UTF-8."
    try:
        refuse([fault(place, "EncodingError", sentence)], error)
    except CocoError as refused:
        return refused
    raise RuntimeError(sentence)  # refuse always raises for a fault


class _Builder:
    """Events of the parser → nodes; faults that are no syntax errors are collected."""

    def __init__(self, file: str, error: type[CocoError]):
        self.file = file
        self.error = error
        self.faults: list[Finding] = []
        self.nodes = 0

    def document(self, events: Iterator[Event]) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                self._directives(event)
                if documents > 1:
                    self._fault(event, "SeveralDocuments", "A second document begins here ('---'); a file holds one.")
                    break
            elif isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent, AliasEvent)):
                root = self.node(event, events, 1)
        return root

    def node(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        self._limits(event, depth)
        self._plain_style(event)
        place = Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, depth, place)
        if isinstance(event, SequenceStartEvent):
            values = []
            while not isinstance(inner := next(events), SequenceEndEvent):
                values.append(self.node(inner, events, depth + 1))
            return Node(values, place)
        return Node(scalar(event) if isinstance(event, ScalarEvent) else None, place)

    def _mapping(self, events: Iterator[Event], depth: int, place: Place) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key_node = self.node(event, events, depth + 1)
            value = self.node(next(events), events, depth + 1)
            if not isinstance(event, ScalarEvent):
                self._fault(event, "NotAKey", "A key must be a single word, not a list or a mapping.")
                continue
            key = unicodedata.normalize("NFC", event.value)
            if key in keys:
                self._fault(event, "DuplicateKey", f"The key '{key}' stands twice here; the first is at {keys[key]}.")
                continue
            values[key], keys[key] = value, key_node.place
        return Node(values, place, keys)

    def _directives(self, event: DocumentStartEvent) -> None:
        if event.version and tuple(event.version) != (1, 2):
            version = ".".join(str(part) for part in event.version)
            self._fault(event, "YamlVersion", f"The file asks for YAML {version}; remove the line, YAML 1.2 is read.")
        if event.tags:
            self._fault(event, "Tag", "A %TAG line is not allowed; remove it.")

    def _plain_style(self, event: Event) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, AliasEvent) or anchor:
            sign = "*" if isinstance(event, AliasEvent) else "&"
            sentence = f"'{sign}{anchor}' is not allowed: write the value out, or name a scale and refer to it."
            self._fault(event, "AnchorOrAlias", sentence)
        elif tag:
            self._fault(event, "Tag", f"The tag '{tag}' is not allowed; remove it (text goes in quotes).")

    def _limits(self, event: Event, depth: int) -> None:
        self.nodes += 1
        if depth > DEEPEST or self.nodes > MOST_NODES:
            sentence = f"The file is nested deeper than {DEEPEST} levels or holds more than {MOST_NODES:,} values."
            self._fault(event, "TooDeep", sentence)
            refuse(self.faults, self.error)

    def _fault(self, event: Event, code: str, sentence: str) -> None:
        mark = event.start_mark
        self.faults.append(fault(Place(self.file, mark.line + 1, mark.column + 1), code, sentence))


def scalar(event: ScalarEvent) -> Any:
    """The value of a scalar by YAML 1.2's core schema; what is quoted is text."""
    text = unicodedata.normalize("NFC", event.value)
    if event.style:
        return text
    if text in NAMED:
        return NAMED[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if DECIMAL.fullmatch(text) and not LEADING_ZERO.match(text):
        return float(text)
    return text
