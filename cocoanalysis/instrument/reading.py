"""YAML files → Survey; every fault with file, line and column, all faults of a file at once.

The steps: `yamlfile` reads values with places, `validation` holds them against `fileform`,
`instrumentfile` and `surveyfile` check what refers to what (scales, ids, forms, blocks, scores)
and build the frozen objects of `model`. Doubts (a missing translation, an unbalanced scale) come
from `checking` and stay with the survey.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cocoanalysis.arguments import file_path
from cocoanalysis.errors import InstrumentError, listed, suggestion
from cocoanalysis.instrument import fileform as form
from cocoanalysis.instrument.extending import extended
from cocoanalysis.instrument.findings import Finding, Place, fault, refuse
from cocoanalysis.instrument.instrumentfile import instrument_from, version_faults
from cocoanalysis.instrument.lints import platform_findings
from cocoanalysis.instrument.model import Instrument, Survey
from cocoanalysis.instrument.surveyfile import survey_from
from cocoanalysis.instrument.validation import fit
from cocoanalysis.instrument.yamlfile import Source, read_yaml

SURVEY_FILE = "survey.yaml"
DEEPEST_BASE = 5


def bundled(name: str) -> Path:
    """The folder of a survey that comes with the package, by its name.

    Parameters
    ----------
    name : as 'cocreation' or 'unit-climate'

    Raises
    ------
    InstrumentError : UnknownSurvey, naming those there are

    Examples
    --------
    >>> bundled("cocreation").name
    'cocreation'
    """
    folder = bundled_folder()
    found = sorted(path.parent.name for path in folder.glob(f"*/{SURVEY_FILE}"))
    if name not in found:
        raise InstrumentError(
            f"There is no bundled survey '{name}'; there are {listed(found)}.{suggestion(name, found)}",
            code="UnknownSurvey",
        )
    return folder / name


def bundled_folder() -> Path:
    """Where the bundled surveys lie: inside the installed package, or surveys/ of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent / "surveys"


def read_instrument(path: str | Path) -> Instrument:
    """Read one instrument file.

    Parameters
    ----------
    path : the YAML file

    Raises
    ------
    InstrumentError : all faults of the file, each with file:line:column; ``code`` is the first
        one's, ``findings`` holds them all

    Examples
    --------
    >>> read_instrument(bundled("unit-climate").parent / "instruments" / "unit-climate.yaml")
    Instrument(unitclimate 0.1.0: 3 constructs, 19 items)
    """
    source = read_yaml(path)
    _refuse_other_kind(source, "instruments", "a survey; read it with coco.read_survey")
    instrument, faults = instrument_from(source)
    refuse(faults)
    return _there(instrument)


def read_survey(path: str | Path) -> Survey:
    """Read a survey: a folder with survey.yaml, the YAML file itself, or a bundled survey's name.

    Returns
    -------
    Survey, frozen; `.findings()` lists doubts that are no errors

    Raises
    ------
    InstrumentError : all faults of the survey and its instruments, each with file:line:column

    Examples
    --------
    >>> survey = read_survey("unit-climate")
    >>> survey
    Survey(unitclimate 0.1.0: 3 constructs, 19 items, 2 background questions; en, da)
    >>> survey.item_ids("significance")
    ['tsig1', 'tsig2', 'tsig3']
    >>> print(survey.measurement_model("significance"))
    significance =~ tsig1 + tsig2 + tsig3
    <BLANKLINE>
    """
    source = read_yaml(survey_file(path))
    return survey_from(*survey_sources(source))


def survey_sources(source: Source, depth: int = 0) -> tuple[Source, list[Source], list[Finding]]:
    """A survey's source with its instruments' sources, a base's changes applied; and the faults so far."""
    _refuse_other_version(source)
    _refuse_other_kind(source, "constructs", "an instrument; name it in a survey, or use coco.read_instrument")
    instruments, faults = _instruments_of(source)
    if not isinstance(source.root.value, dict) or "extends" not in source.root.value:
        return source, instruments, faults
    refuse(fit(source, form.SurveyFile)[1])
    base, problem = _base_of(source, depth)
    if base is None:
        return source, instruments, [*faults, *problem]
    base, inherited, wrong = survey_sources(base, depth + 1)
    wrong += fit(base, form.SurveyFile)[1]
    refuse([*wrong, *(misfit for one in inherited for misfit in fit(one, form.InstrumentFile)[1])])
    source, inherited, unfit = extended(source, base, inherited)
    return source, [*inherited, *instruments], [*faults, *unfit]


def _base_of(source: Source, depth: int) -> tuple[Source | None, list[Finding]]:
    """The survey that this one extends: a bundled name, or a path inside the surveys folder."""
    name, place = str(source.root.value["extends"].value), source.place("extends")
    if depth >= DEEPEST_BASE:
        sentence = f"'{name}' extends a survey that extends another …; at most {DEEPEST_BASE} steps, and no circle."
        return None, [fault(place, "Circular", sentence)]
    near = source.path.parent / name
    if not near.exists() and (bundled_folder() / name / SURVEY_FILE).is_file() and "/" not in name:
        return read_yaml(bundled(name) / SURVEY_FILE), []
    relative = f"{name}/{SURVEY_FILE}" if near.is_dir() else name
    if problem := _unsafe(relative, source.path):
        names = sorted(path.parent.name for path in bundled_folder().glob(f"*/{SURVEY_FILE}"))
        return None, [fault(place, problem[0], f"{problem[1]} Bundled surveys are {listed(names)}.")]
    return read_yaml(source.path.parent / relative), []


def check_survey(path: str | Path, platforms: Iterable[str] = ()) -> list[Finding]:
    """Every fault and doubt of a survey, in the order of files and lines.

    Parameters
    ----------
    path : a folder with survey.yaml, the file, or the name of a bundled survey
    platforms : also say what these platforms would change or misread (limesurvey, qualtrics, …)

    Returns
    -------
    list of Finding, each printing as 'file:line:column: severity code: sentence'; with faults,
    only the faults (a survey that cannot be read has no doubts yet)

    Raises
    ------
    InstrumentError : UnknownPlatform

    Examples
    --------
    >>> [finding.severity for finding in check_survey("unit-climate")]
    ['warning', 'warning']
    """
    try:
        source, instruments, faults = survey_sources(read_yaml(survey_file(path)))
        survey = survey_from(source, instruments, faults)
    except InstrumentError as refused:
        return [finding for finding in refused.findings if isinstance(finding, Finding)]
    return [*survey.findings(), *platform_findings(survey, [source, *instruments], platforms)]


def survey_file(path: str | Path) -> Path:
    """The survey's YAML file for a folder, a file or a bundled name."""
    path = file_path(path, "A survey", InstrumentError)
    if path.is_dir():
        return path / SURVEY_FILE
    if path.exists() or len(path.parts) != 1 or path.suffix:
        return path
    names = sorted(folder.parent.name for folder in bundled_folder().glob(f"*/{SURVEY_FILE}"))
    if path.name in names:
        return bundled_folder() / path / SURVEY_FILE
    sentence = f"There is no folder '{path}' and no bundled survey of that name; bundled are {listed(names)}."
    refuse([fault(Place(str(path), 1, 1), "NoSuchFile", sentence + suggestion(path.name, names))])
    return path


def _there(instrument: Instrument | None) -> Instrument:
    if instrument is None:
        raise RuntimeError("an instrument without faults was not built")
    return instrument


# ---- files a survey names -------------------------------------------------------------------


def _instruments_of(source: Source) -> tuple[list[Source], list[Finding]]:
    """The sources of the named instrument files; a path that leads elsewhere is a fault."""
    sources: list[Source] = []
    faults: list[Finding] = []
    named = source.data.get("instruments") if isinstance(source.data, dict) else None
    for index, name in enumerate(named if isinstance(named, list) else []):
        if not isinstance(name, str):
            continue  # the file form says so with its place
        place = source.place("instruments", index)
        problem = _unsafe(name, source.path)
        if problem:
            faults.append(fault(place, *problem))
            continue
        try:
            sources.append(read_yaml(source.path.parent / name))
        except InstrumentError as refused:
            faults += [finding for finding in refused.findings if isinstance(finding, Finding)]
    return sources, faults


def _unsafe(name: str, survey: Path) -> tuple[str, str] | None:
    """Why a file named by a survey is not read, or None."""
    surveys = survey.resolve().parent.parent
    path = Path(name)
    try:
        target = (survey.parent / path).resolve()
    except (OSError, ValueError, RuntimeError):
        target = Path("/")
    if path.is_absolute() or "\\" in name or ":" in name or not target.is_relative_to(surveys):
        return "PathOutside", (
            f"'{name}' leads out of the surveys folder; give a relative path inside it, as ../instruments/name.yaml."
        )
    if target.suffix not in (".yaml", ".yml"):
        return "NotYaml", f"'{name}' is no YAML file; instruments end in .yaml."
    if not target.is_file():
        near = [other.name for other in target.parent.glob("*.y*ml")] if target.parent.is_dir() else []
        return "NoSuchFile", f"There is no file '{name}'.{suggestion(target.name, near)}"
    return None


def _refuse_other_kind(source: Source, key: str, what: str) -> None:
    """A survey where an instrument is meant, or the other way round, is said to be one."""
    if isinstance(source.root.value, dict) and key in source.root.value:
        refuse([fault(source.place(key, key=True), "WrongFile", f"This file has '{key}:', so it is {what}.")])


def _refuse_other_version(source: Source) -> None:
    """A file of a later form is not read in part."""
    faults = version_faults(source)
    if faults and faults[0].code == "VersionError":
        refuse(faults)
