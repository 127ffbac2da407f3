"""Survey platforms: one file each, with both doors.

To add a platform, write one module in this folder that ends in

    register(Platform("name", sniff=…, read=…, write=…))

and nothing else changes: `read_responses` and the export find it here. Its functions are

``sniff(head) -> float``
    how surely a file is this platform's, from 0 (no) to 1, judged by the shape of its first
    rows (`Head`); the tidy reader says .1 to everything, so anything above that wins.
``read(source, survey, options) -> Raw``
    the rows as text, and what the platform knows about its columns: our id of a column
    (``bindings``), its question text, its codes. Cells that it knows to be missing hold
    `mark(reason)`; technical columns are bound to the names in `matching.META`
    (status live/preview/test/spam, complete true/false, started, seconds, …). It does not
    decide what a code means and leaves no row out: `read_responses` does that, for all alike.
``write(survey, path, **options) -> list of paths``
    the questionnaire in the platform's form, with the code map beside it (`write_code_map`).

Either door may be missing (None). Heavy libraries are imported inside the functions.
"""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cocoanalysis.errors import PlatformError, one_of
from cocoanalysis.responses.ledger import Entry


@dataclass(frozen=True)
class Options:
    """What the caller wants of a platform's reader."""

    language: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    keep_personal: bool = False


@dataclass(frozen=True)
class Source:
    """A file that was opened safely: ``kind`` is text, xlsx, parquet, sav, por or dta.

    ``member`` is the table's name in an archive, ``sheet`` the number of a workbook's sheet.
    """

    path: Path
    kind: str
    options: Options = Options()
    member: str = ""
    sheet: int = 0

    def open(self) -> BinaryIO:
        """The bytes of the file, or of the table in the archive (unpacked in memory, never onto the disk)."""
        if not self.member:
            return self.path.open("rb")
        with zipfile.ZipFile(self.path) as archive:
            return io.BytesIO(archive.read(self.member))


@dataclass(frozen=True)
class Head:
    """What a sniffer sees: the kind of file and its first rows (cells as text)."""

    source: Source
    rows: Sequence[Sequence[str]]

    @property
    def kind(self) -> str:
        return self.source.kind

    @property
    def columns(self) -> Sequence[str]:
        return self.rows[0] if self.rows else ()


@dataclass(frozen=True)
class Raw:
    """An export as it came: text cells, and what the platform knows about the columns.

    Attributes
    ----------
    table : pyarrow.Table or DataFrame of text, with unique column names
    bindings : column → our id (or a name of `matching.META`), where the platform is sure
    texts : column → the question text that the file holds beside the name
    labels : column → {code in the file: its label}
    codes : our id → {code of the platform: our code}
    personal : columns that identify a person; dropped unless asked for
    technical : columns that are no questions; left out without being listed as unmatched
    aliases : other name of a column, by which a code map may know it (Qualtrics' ImportId) → column
    spaced : blanks separate the answers where a cell lists several
    rows : what else the rows may be than responses (events, say); those without an answer to the survey leave
    first_row : number of the first row of answers in the file, for messages
    entries : ledger lines about what the platform's reader did
    """

    table: Any
    bindings: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    personal: frozenset[str] = frozenset()
    technical: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)
    spaced: bool = False
    rows: str = ""
    first_row: int = 2
    entries: tuple[Entry, ...] = ()

    @property
    def columns(self) -> list[str]:
        names = getattr(self.table, "column_names", None)
        return list(names) if names is not None else [str(name) for name in self.table.columns]

    def column(self, name: str) -> Any:
        """One column: a pyarrow ChunkedArray or a Series of text."""
        return self.table[name]

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class Platform:
    """One survey platform and its two doors; ``suffix`` ends the name of what is written."""

    name: str
    sniff: Callable[[Head], float] | None = None
    read: Callable[[Source, Any, Options], Raw] | None = None
    write: Callable[..., list[Path]] | None = None
    title: str = ""
    suffix: str = ""

    def target(self, output: Path | None, survey: str) -> Path:
        """Where to write: ``output``, given the suffix if it has none; without it, a name made of the survey's."""
        chosen = output if output is not None else Path(f"{survey}-{self.name}")
        return chosen if chosen.suffix or chosen.is_dir() else chosen.with_name(chosen.name + self.suffix)


PLATFORMS: dict[str, Platform] = {}


def register(platform: Platform) -> Platform:
    """Make a platform known; called once, at the end of its module."""
    PLATFORMS[platform.name] = platform
    return platform


def known_platforms() -> dict[str, Platform]:
    """All platforms, from every module of this folder."""
    package = importlib.import_module("cocoanalysis.fieldwork")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"cocoanalysis.fieldwork.{module.name}")
    return PLATFORMS


def sniffed(head: Head) -> Platform:
    """The platform that the first rows look most like.

    Raises
    ------
    PlatformError : UnknownExport, AmbiguousPlatform
    """
    readable = [one for one in known_platforms().values() if one.read is not None and one.sniff is not None]
    scores = {one.name: one.sniff(head) for one in readable if one.sniff is not None}
    best = max(scores.values(), default=0.0)
    winners = [name for name, score in scores.items() if score == best]
    if best <= 0:
        raise PlatformError(
            f"{head.source.path.name} does not look like the export of any known platform "
            f"({', '.join(scores)}); name it with platform=…",
            code="UnknownExport",
        )
    if len(winners) > 1:
        raise PlatformError(
            f"{head.source.path.name} may come from {' or '.join(winners)}; say which with platform=…",
            code="AmbiguousPlatform",
        )
    return PLATFORMS[winners[0]]


def named(name: str, door: str = "read", *, beside: Sequence[str] = ()) -> Platform:
    """The platform of that name with that door (read or write); a message lists what else there is ``beside``.

    Raises
    ------
    PlatformError : UnknownPlatform
    """
    able = [one.name for one in known_platforms().values() if getattr(one, door) is not None]
    if name not in able:
        one_of(name, [*able, *beside], "platform", error=PlatformError, code="UnknownPlatform")
    return PLATFORMS[name]


# Code maps: what an export called our ids and codes ---------------------------------------------


@dataclass(frozen=True)
class CodeMap:
    """What a platform calls our ids and codes; written beside each export and found again on reading."""

    columns: Mapping[str, str] = field(default_factory=dict)  # our id → column
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # our id → platform code → our code
    survey: str = ""
    version: str = ""
    platform: str = ""


SUFFIX = ".codemap.json"


def write_code_map(path: Path, code_map: CodeMap) -> Path:
    """Write a code map beside the export at ``path``; returns where it stands."""
    target = path.with_name(path.name + SUFFIX)
    content = {"schema": 1, **{key: _plain(value) for key, value in vars(code_map).items()}}
    target.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return target


def _plain(value: Any) -> Any:
    return {key: _plain(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def read_code_map(path: Path) -> CodeMap:
    """A code map from its file.

    Raises
    ------
    PlatformError : BadCodeMap, VersionError
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (OSError, ValueError) as error:
        raise PlatformError(f"The code map {path.name} cannot be read: {error}.", code="BadCodeMap") from error
    if not isinstance(content, dict):
        raise PlatformError(f"The code map {path.name} must be an object of names and columns.", code="BadCodeMap")
    if "schema" not in content:
        return CodeMap(columns={str(key): str(value) for key, value in content.items()})
    if content["schema"] != 1:
        raise PlatformError(
            f"The code map {path.name} has schema {content['schema']}; this version reads 1. Update cocoanalysis.",
            code="VersionError",
        )
    return CodeMap(
        **{key: content[key] for key in ("columns", "codes", "survey", "version", "platform") if key in content}
    )


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def code_map_beside(path: Path) -> Path | None:
    """The code map that an export wrote beside the file, or None."""
    for candidate in (path.with_name(path.name + SUFFIX), path.with_suffix(SUFFIX)):
        if candidate.is_file():
            return candidate
    return None
