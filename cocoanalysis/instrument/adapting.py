"""A survey of one's own from one that exists: copied out, or extended with recorded changes."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from cocoanalysis.errors import InstrumentError
from cocoanalysis.instrument.reading import SURVEY_FILE, bundled_folder, read_survey, survey_file
from cocoanalysis.instrument.yamlfile import Source, read_yaml

PLAN_FILE = "plan.yaml"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
MOST_BYTES = 100_000_000


def new_survey(name: str, source: str | Path, *, folder: str | Path = ".", extend: bool = False) -> Path:
    """Make a survey of your own from a bundled one, from another survey, or from a platform's file.

    Parameters
    ----------
    name : of the new survey and of its folder
    source : a bundled survey's name, a survey's folder or file; or a .sav, .dta, tidy .csv, XLSForm,
        LimeSurvey, REDCap or Qualtrics structure file, of which a draft is made (see `drafting`)
    folder : where the new folder is made
    extend : instead of a copy, write a file that extends the source: it holds only your changes, and
        `compare_surveys` says later which scores stay comparable; the source's plan comes along

    Returns
    -------
    the path of the new folder; read it with `read_survey`

    Raises
    ------
    InstrumentError : BadName, Exists, NotWritable, and whatever is wrong with the source

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_survey(new_survey("mine", "unit-climate", folder=folder)).id
    'mine'
    """
    target = _target(name, Path(folder))
    if _is_platform_file(source):
        from cocoanalysis.instrument.drafting import draft_survey

        return _written(target, dict(draft_survey(survey_id(name), source)))
    survey = read_survey(source)
    if extend:
        files: dict[str, str | bytes | Path] = {SURVEY_FILE: _extension(name, source, target, survey.languages)}
        plan = survey.folder / PLAN_FILE
        return _written(target, files | ({PLAN_FILE: plan} if plan.is_file() else {}))
    return _written(target, _copied(survey_id(name), read_yaml(survey_file(source))))


def survey_id(name: str) -> str:
    """The id of a survey of that name: its small letters and digits."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())[:19]


def _target(name: str, folder: Path) -> Path:
    if not NAME.fullmatch(name) or name.casefold() in DEVICES:
        raise InstrumentError(
            f"'{name}' cannot name a survey: a name begins with a letter and holds at most 41 letters, digits, "
            "hyphens and underscores.",
            code="BadName",
        )
    if (folder / name).exists():
        raise InstrumentError(f"There is already '{folder / name}'; choose another name.", code="Exists")
    return folder / name


def _is_platform_file(source: str | Path) -> bool:
    return Path(source).is_file() and Path(source).suffix.casefold() not in (".yaml", ".yml")


def _written(target: Path, files: dict[str, str | bytes | Path]) -> Path:
    """All files in the new folder, or none: written beside it and renamed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            for name, content in files.items():
                _write(beside / name, content)
            os.chmod(beside, 0o755)
            os.rename(beside, target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as problem:
        sentence = f"'{target}' cannot be made ({problem.strerror or problem}); choose another folder."
        raise InstrumentError(sentence, code="NotWritable") from problem
    return target


def _write(path: Path, content: str | bytes | Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


# ---- a copy ---------------------------------------------------------------------------------


def _copied(id: str, source: Source) -> dict[str, str | bytes | Path]:
    """Everything in the survey's folder, and its instruments in a folder of their own beside it."""
    folder = source.path.parent
    names = source.data.get("instruments", [])
    base = source.data.get("extends")
    if base is not None and (folder / base).exists():
        raise InstrumentError(
            f"'{source.file}' extends '{base}', which a copy would not find; copy that survey, or use extend=True.",
            code="ExtendsAPath",
        )
    files: dict[str, str | bytes | Path] = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not _stays_behind(path.relative_to(folder))
    }
    if sum(path.stat().st_size for path in files.values() if isinstance(path, Path)) > MOST_BYTES:
        raise InstrumentError(f"The folder '{folder}' holds more than {MOST_BYTES:,} bytes.", code="TooLarge")
    places: dict[tuple[str, ...], str] = {("id",): id}
    for index, name in enumerate(names):
        files.pop(Path(name).as_posix(), None)
        files[f"instruments/{Path(name).name}"] = folder / name
        places["instruments", str(index)] = f"instruments/{Path(name).name}"
    origin = f"# Copied from the survey '{source.data['id']}', version {source.data['version']}.\n"
    files[SURVEY_FILE] = origin + _with_scalars(source, places)
    return files


def _stays_behind(path: Path) -> bool:
    """Hidden files, and counted verdicts: they belong to the original's plan and population, not to a changed copy."""
    return path.parts[0] == "power" or any(part.startswith(".") for part in path.parts)


def _with_scalars(source: Source, new: dict[tuple[str, ...], str]) -> str:
    """The file's text with some scalars replaced where they stand; comments and layout stay."""
    lines = source.path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    edits = []
    for steps, value in new.items():
        path = [int(step) if step.isdigit() else step for step in steps]
        node = source.root
        for step in path:
            node = node.value[step]
        edits.append((source.place(*path), str(node.value), value))
    for place, old, value in sorted(edits, reverse=True):
        line, start = lines[place.line - 1], place.column - 1
        quoted = line[start : start + 1] in "'\""
        length = len(old) + 2 * quoted
        lines[place.line - 1] = line[:start] + value + line[start + length :]
    return "\n".join(lines)


# ---- an extension ---------------------------------------------------------------------------

EXTENSION = """\
schema: 1
id: {id}
version: "0.1.0"
title: {{{titles}}}
languages: [{languages}]
extends: {base}
# Each change has a kind (typo, wording, translation, scale, added, dropped), names an id, and says why:
#   - {{kind: wording, id: mob1, text: {{en: "new words"}}, note: "clearer for volunteers"}}
#   - {{kind: dropped, id: mob7, note: "not asked in this study"}}
#   - {{kind: added, to: mobilising, item: {{id: mob8, text: {{en: "a new item"}}}}, note: "missing so far"}}
changes: []
"""


def _extension(name: str, source: str | Path, target: Path, languages: tuple[str, ...]) -> str:
    """A survey file that holds nothing but what it extends."""
    file = survey_file(source).resolve()
    if file.parent.parent == bundled_folder().resolve():
        base = file.parent.name
    else:
        folder = file.parent if file.name == SURVEY_FILE else file
        base = Path(os.path.relpath(folder, target.resolve())).as_posix()
    titles = ", ".join(f'{language}: "{name}"' for language in languages)
    return EXTENSION.format(id=survey_id(name), titles=titles, languages=", ".join(languages), base=base)
