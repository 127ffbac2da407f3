"""The command line ``coco``: one function a command, the work is done by the rooms.

Exit codes: 0 success, 1 a finding (the files or answers are at fault), 2 misuse of the command.
Results go to stdout, messages and progress to stderr. Rooms are imported when a command runs, so
that ``coco --help`` answers at once. To add a command, write a function and put @app.command() above it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cocoanalysis.errors import CocoError, CocoWarning

# Matrices here are small: more threads of the linear algebra only wait for each other. Set before numpy is loaded.
for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

MISUSE = {
    "NoSuchFile",
    "UnknownSurvey",
    "UnknownChoice",
    "UnknownForm",
    "UnknownPlatform",
    "ReservedName",
    "NameTooLong",
    "ExtraMissing",
    "UnknownLanguage",
}


LOCATED = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): error (?P<code>\w+): (?P<sentence>.*)")


class Commands(TyperGroup):
    """Turns every CocoError into its sentence on stderr and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        warnings.showwarning = _say_warning
        try:
            return super().invoke(ctx)
        except CocoError as error:
            say(str(error))
            raise typer.Exit(2 if error.code in MISUSE else 1) from None
        except BrokenPipeError:  # the reader of a pipe went away, as in ``coco check … | head -1``
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # stays open: Python flushes it at exit
            raise typer.Exit(0) from None
        except OSError as error:
            if error.filename is None:  # no file that the user could do something about
                raise
            say(f"'{error.filename}' cannot be read or written ({error.strerror}); choose another file or folder.")
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="Surveys on public leadership and public value, from the questionnaire to the report. "
    "Start with **coco report**, which analyses the two surveys that come with the package.",
)


def say(text: str) -> None:
    """A message for the person at the screen; what a file would make the screen do is left out."""
    typer.echo("".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text), err=True)


def _say_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, CocoWarning):
        say(f"Note: {message}")


def _version(wanted: bool) -> None:
    if wanted:
        import cocoanalysis

        typer.echo(cocoanalysis.__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Entry of every command."""


SurveyArgument = Annotated[
    str,
    typer.Argument(
        metavar="SURVEY", help="A survey's folder, its survey.yaml, or the name of a bundled survey (as cocreation)."
    ),
]


@app.command()
def check(
    survey: SurveyArgument,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as findings too (exit code 1).")] = False,
    platform: Annotated[
        list[str] | None,
        typer.Option("--platform", help="Also say what this platform would change, as limesurvey; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, for other programs.")] = False,
) -> None:
    """Look for faults in a survey's files and in its plan; each with file, line and column.

    Ends with exit code 1 when there is a fault. Warnings are doubts that a careful colleague
    would raise; they alone end with 0.
    """
    findings = _findings(survey, platform or [])
    faults = [finding for finding in findings if finding.severity == "error"]
    if as_json:
        typer.echo(json.dumps([_as_record(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            typer.echo(str(finding))
        say(_counted(len(faults), len(findings) - len(faults)))
    if any(finding.code == "NoSuchFile" and finding.place.line <= 1 for finding in faults):
        raise typer.Exit(2 if not Path(survey).exists() else 1)
    if faults or (strict and findings):
        raise typer.Exit(1)


def _findings(survey: str, platforms: list[str]) -> list[Any]:
    """Faults and doubts of the survey and of the plan beside it."""
    from cocoanalysis.instrument.reading import check_survey, survey_file

    findings = check_survey(survey, platforms)
    if any(finding.severity == "error" for finding in findings):
        return findings
    plan = survey_file(survey).parent / "plan.yaml"
    return [*findings, *_plan_findings(plan)] if plan.is_file() else findings


def _plan_findings(plan: Path) -> list[Any]:
    """The plan's faults as findings; `read_plan` gives them as lines 'file:line:column: error Code: sentence'."""
    from cocoanalysis.instrument.findings import Finding, Place
    from cocoanalysis.propositions.plan import read_plan

    try:
        read_plan(plan)
    except CocoError as error:
        lines = [LOCATED.match(line) for line in str(error).splitlines()]
        found = [
            Finding(Place(m["file"], int(m["line"]), int(m["column"])), "error", m["code"], m["sentence"])
            for m in lines
            if m is not None
        ]
        return found or [Finding(Place(str(plan), 1, 1), "error", error.code, str(error))]
    return []


def _as_record(finding: Any) -> dict[str, Any]:
    place = finding.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "severity": finding.severity,
        "code": finding.code,
        "message": finding.sentence,
    }


def _counted(faults: int, doubts: int) -> str:
    if not faults and not doubts:
        return "No fault and no doubt."
    return f"{faults} fault{'s' * (faults != 1)}, {doubts} warning{'s' * (doubts != 1)}."


# --- making a survey --------------------------------------------------------------------------------


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new survey and of its folder.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SURVEY|FILE",
            help="A survey to start from, or a file that describes one: .sav, .dta, .csv, XLSForm, LimeSurvey, REDCap, "
            "Qualtrics .qsf.",
        ),
    ] = "cocreation",
    folder: Annotated[Path, typer.Option("-o", "--output", help="Where the new folder is made.")] = Path(),
    extend: Annotated[
        bool, typer.Option("--extend", help="Write only your changes to SURVEY instead of a copy of it.")
    ] = False,
) -> None:
    """Start a survey of your own: a copy to change, or a draft of what a file says about one.

    Prints the new folder; look at it with **coco check**.
    """
    from cocoanalysis.instrument.adapting import new_survey

    typer.echo(new_survey(name, source, folder=folder, extend=extend))


@app.command()
def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The earlier survey: folder, file or bundled name.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The later one.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the differences as JSON, for other programs.")] = False,
) -> None:
    """Say what changed between two versions of a survey, and which scores stay comparable.

    Ends with exit code 1 when some scores are not comparable.
    """
    from cocoanalysis.instrument.comparing import compare_surveys

    found = compare_surveys(old, new)
    if as_json:
        typer.echo(found.tidy().to_json(orient="records", indent=2, force_ascii=False))
    else:
        for row in found.tidy().itertuples():
            typer.echo(f"{row.level} {row.id} ({row.change}), comparable: {row.comparable}. {row.reason}")
        for note in found.notes():
            say(note)
    if int(found.glance()["scores_no"].iloc[0]):
        raise typer.Exit(1)


@app.command()
def translate(
    survey: SurveyArgument,
    language: Annotated[str, typer.Option("--to", metavar="LANGUAGE", help="The language to translate to, as de.")],
    sheet: Annotated[Path, typer.Option("-o", "--output", metavar="SHEET.xlsx", help="The translator's sheet.")],
    back: Annotated[
        bool, typer.Option("--back", help="Take the translations of the sheet into the survey's files.")
    ] = False,
    translator: Annotated[str, typer.Option(help="Who translated; noted in the files.")] = "",
) -> None:
    """Write every text of a survey into a spreadsheet for a translator, or take the sheet back."""
    from cocoanalysis.instrument.translating import read_translation_sheet, write_translation_sheet

    if back:
        for path in read_translation_sheet(sheet, survey, translator=translator):
            typer.echo(path)
        return
    typer.echo(write_translation_sheet(survey, language, sheet))


# --- the survey in the field ------------------------------------------------------------------------


def _survey(path: str) -> Any:
    from cocoanalysis.instrument.reading import read_survey

    return read_survey(path)


@app.command()
def preview(
    survey: SurveyArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="The page to write.")] = Path("preview.html"),
    language: Annotated[str | None, typer.Option(help="The language that is shown first, as en or da.")] = None,
    form: Annotated[str, typer.Option(help="Which form of the questionnaire, as full, short or core.")] = "full",
) -> None:
    """Write the questionnaire as one page that opens in any browser; nothing is sent anywhere."""
    from cocoanalysis.fieldwork.preview import write

    for path in write(_survey(survey), output, form=form, language=language):
        typer.echo(path)


@app.command(name="export")
def export_survey(
    survey: SurveyArgument,
    to: Annotated[
        str,
        typer.Option("--to", metavar="PLATFORM", help="A platform, or dataset; a wrong name lists those there are."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="The file to write.", show_default="SURVEY-PLATFORM"),
    ] = None,
    form: Annotated[str, typer.Option(help="Which form of the questionnaire, as full, short or core.")] = "full",
    part: Annotated[
        int | None, typer.Option("--part", help="Of a planned-missing form, the number of one version: 0, 1, …")
    ] = None,
    responses: Annotated[
        Path | None,
        typer.Option(help="For a dataset: the file of answers; without it, the sample that the survey names."),
    ] = None,
    k: Annotated[int, typer.Option(help="For a dataset: how many must share a person's background answers.")] = 5,
    licence: Annotated[str, typer.Option(help="For a dataset: under which it may be used, as CC-BY-4.0.")] = "",
    leave_out: Annotated[
        list[str] | None, typer.Option("--leave-out", metavar="COLUMN", help="For a dataset: a column not to share.")
    ] = None,
    coarsen: Annotated[
        bool, typer.Option("--coarsen", help="For a dataset: band, merge and drop background until nobody is at risk.")
    ] = False,
) -> None:
    """Write the questionnaire in the form that a survey platform takes; prints what was written.

    A code map is written beside it where the platform changes ids; **coco read** finds it again.
    **--to dataset** writes the answers instead: a folder that may be shared, after the check that nobody is
    recognisable in it.
    """
    from cocoanalysis.fieldwork.platforms import named

    if to == "dataset":
        wishes: dict[str, Any] = {"k": k, "licence": licence, "leave_out": leave_out or (), "coarsen": coarsen}
        typer.echo(_dataset(survey, responses, output, **wishes))
        return
    platform, read = named(to, "write", beside=["dataset"]), _survey(survey)
    target = platform.target(output, read.id)
    for path in platform.write(read, target, form=form, version=part) if platform.write is not None else ():
        typer.echo(path)


def _dataset(survey: str, responses: Path | None, output: Path | None, **options: Any) -> Path:
    """The answers to a survey as a folder that may be shared."""
    from cocoanalysis.fieldwork.dataset import write_dataset
    from cocoanalysis.fieldwork.reading import read_responses

    read = _survey(survey)
    if responses is None and not read.samples:
        raise CocoError(f"The survey '{read.id}' names no sample; give a file with --responses.", code="NoSuchFile")
    path = responses if responses is not None else Path(read.folder) / read.samples[0].file
    if not path.is_file():
        raise CocoError(f"There is no file {path}.", code="NoSuchFile")
    return write_dataset(read_responses(path, read), output or Path(f"{read.id}-dataset"), **options)


@app.command()
def invitations(
    survey: SurveyArgument,
    people: Annotated[Path, typer.Argument(metavar="PEOPLE.csv", help="A row a person, or a collaboration with n.")],
    link: Annotated[
        list[str],
        typer.Option(metavar="URL", help="Of the fielded survey; one for each version of a planned-missing form."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The list; without a suffix a folder with one list a collaboration.")
    ] = Path("invitations.csv"),
    form: Annotated[
        str, typer.Option(help="Which form of the questionnaire; planned deals out its versions.")
    ] = "full",
    platform: Annotated[
        str | None,
        typer.Option(help="Where it is fielded: KoboToolbox and ODK need xlsform; limesurvey adds a participant list."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same codes and versions.")] = 0,
) -> None:
    """Write the links that people are invited with: who belongs to which collaboration, and which version they get.

    The list is the key between people and answers: keep it apart from them.
    """
    from cocoanalysis.fieldwork.invitations import collaboration_column, invite, write_invitations

    read = _survey(survey)
    table = invite(people, read, link, form=form, platform=platform, seed=seed)
    for path in write_invitations(table, output, collaboration_column(read)):
        typer.echo(path)


@app.command()
def interim(
    export: Annotated[
        Path, typer.Argument(metavar="EXPORT", help="The file that the survey platform gave you so far.")
    ],
    survey: Annotated[str, typer.Option("--survey", help="The survey it answers: folder, file or bundled name.")],
    invited: Annotated[Path | None, typer.Option(help="The list that coco invitations wrote.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The CSV to write.")] = Path("interim.csv"),
) -> None:
    """Say how many answered so far in each collaboration, and how reliable its means are by now; no means are shown."""
    from cocoanalysis.fieldwork.invitations import read_invitations
    from cocoanalysis.fieldwork.reading import read_responses
    from cocoanalysis.report.fielding import interim as counted
    from cocoanalysis.report.files import write

    sent = read_invitations(invited) if invited else None
    table = counted(read_responses(export, _survey(survey)), invited=sent)
    typer.echo(write(output, table.to_csv(index=False, lineterminator="\n")))


@app.command()
def read(
    export: Annotated[Path, typer.Argument(metavar="EXPORT", help="The file that the survey platform gave you.")],
    survey: Annotated[str, typer.Option("--survey", help="The survey it answers: folder, file or bundled name.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The clean CSV to write.")] = Path("clean.csv"),
    platform: Annotated[str, typer.Option(help="Where the file is from; auto looks at its header.")] = "auto",
    code_map: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The code map that coco export wrote, if not beside EXPORT.")
    ] = None,
    duplicates: Annotated[
        str, typer.Option(help="What to do with a repeated response: error, first, last or fullest.")
    ] = "error",
    keep_personal: Annotated[bool, typer.Option("--keep-personal", help="Keep columns that identify people.")] = False,
    language: Annotated[str | None, typer.Option(help="Of the labels in the file; else any of the survey's.")] = None,
    invalid: Annotated[
        str, typer.Option(help="Answers outside the options: error, or missing (set to missing and counted).")
    ] = "error",
    empty: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Text that stands for an empty cell, as NA; repeatable.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a text file that is not UTF-8, as windows-1252.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between cells, where the file leaves it open.")] = None,
) -> None:
    """Turn a platform's export into clean answers: one column an item, every missing answer with its reason.

    What was changed or left out is printed; columns that identify people are dropped unless asked for.
    """
    from cocoanalysis.fieldwork.reading import read_responses
    from cocoanalysis.responses.writing import write_responses

    responses = read_responses(
        export,
        _survey(survey),
        platform=platform,
        code_map=code_map,
        duplicates=duplicates,
        keep_personal=keep_personal,
        language=language,
        invalid=invalid,
        empty=empty or (),
        encoding=encoding,
        delimiter=delimiter,
    )
    for line in responses.ledger.itertuples():
        say(f"{line.step}: {line.rule} ({line.rows} rows, {line.cells} cells)")
    for column, candidates in responses.unmatched.itertuples(index=False) if responses.unmatched is not None else ():
        say(f"left out: '{column}'" + (f", which may be {candidates}" if candidates else ""))
    for doubt in responses.diagnostics:
        say(str(doubt))
    typer.echo(write_responses(responses, output))


# --- before there are answers -----------------------------------------------------------------------


WorldOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="One of the survey's further worlds, as null; else its world.yaml.")
]


@app.command()
def simulate(
    survey: SurveyArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the CSV file goes.")],
    n: Annotated[int | None, typer.Option("-n", help="Rows; by default as many as the world's design has.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same answers.")] = 0,
    world: WorldOption = None,
) -> None:
    """Draw synthetic answers to a survey from its population model, labelled synthetic in every row.

    **coco simulate cocreation --seed 1 -o synthetic.csv** makes the sample that comes with the package.
    """
    from cocoanalysis.responses.writing import write_responses
    from cocoanalysis.worlds.world import located
    from cocoanalysis.worlds.world import simulate as drawn

    responses = drawn(located(survey, world), n, seed)
    write_responses(responses, output)
    say(f"{len(responses.frame)} synthetic row{'s' * (len(responses.frame) != 1)} in {output}")


@app.command()
def power(
    survey: SurveyArgument,
    world: WorldOption = None,
    size: Annotated[
        list[str] | None, typer.Option(metavar="COLLABORATIONSxRATERS", help="As 60x15; may be given several times.")
    ] = None,
    replicates: Annotated[int, typer.Option(min=1, help="How many studies are drawn and judged for each size.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same counts.")] = 0,
    gates: Annotated[
        bool, typer.Option(help="Run the gates on the measurement in every study, as the verdict rule does.")
    ] = True,
    workers: Annotated[int, typer.Option(help="Processes that share the work.")] = 1,
    backend: Annotated[str | None, typer.Option(help="joblib (this machine) or dask (a cluster).")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Of Dask's scheduler.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Keep every verdict here; a stopped run goes on from it."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--every-world", help="Remake the committed counts of every world in the folder OUTPUT.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON, for other programs.")] = False,
) -> None:
    """Say before fielding how probable each verdict is for each hypothesis of a survey's plan.

    Studies are drawn from the survey's population model (or another world of it) and judged by the plan.
    """
    from cocoanalysis.worlds.power import power as counted
    from cocoanalysis.worlds.power import remake
    from cocoanalysis.worlds.world import located

    if every:
        for name, found in remake(located(survey).parent, output, workers=workers):
            typer.echo(f"{name}: {found.sentence()}")
        return
    plan = located(survey).parent / "plan.yaml"
    settings: dict[str, Any] = {
        "gates": gates,
        "workers": workers,
        "backend": backend,
        "scheduler": scheduler,
        "resume": output,
    }
    found = counted(plan, located(survey, world), _sizes(size), replicates, seed, **settings)
    if as_json:
        typer.echo(found.table().to_json(orient="records", indent=2, force_ascii=False))
        return
    typer.echo(str(found))
    typer.echo(found.sentence())


def _sizes(words: list[str] | None) -> list[tuple[int, float]] | None:
    """60x15 → (60, 15)."""
    if not words:
        return None
    try:
        pairs = [word.lower().replace("×", "x").split("x") for word in words]
        return [(int(clusters), float(raters)) for clusters, raters in pairs]
    except ValueError:
        raise CocoError("A size is collaborations x raters, as 60x15.", code="UnknownChoice") from None


# --- the report -------------------------------------------------------------------------------------


@app.command()
def report(
    survey: Annotated[
        str | None,
        typer.Argument(metavar="[SURVEY]", help="A survey's folder, file or bundled name; without it, both bundled."),
    ] = None,
    responses: Annotated[
        Path | None, typer.Option(help="A file of answers; without it, the sample that the survey names.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of the report.")] = Path("output/site"),
    seed: Annotated[int, typer.Option(help="For everything that draws random numbers.")] = 1,
    cell: Annotated[
        int, typer.Option("--cell", min=1, help="Of real answers, the fewest people that a shown number is about.")
    ] = 10,
) -> None:
    """Analyse a survey from the answers to the verdicts and write the report as a web site on your disk.

    Prints the path of index.html; open it in a browser. Nothing is sent anywhere.
    """
    if survey is None and responses is not None:
        raise typer.BadParameter("Answers belong to a survey; name it too.", param_hint="--responses")
    from cocoanalysis.responses.disclosure import disclosure_rules

    with disclosure_rules(cell=cell):
        typer.echo(_site(output, survey, responses, seed))


@app.command()
def reproduce(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of the report.")] = Path("output/site"),
    project: Annotated[Path, typer.Option(help="The project's folder, with notebooks and docs.")] = Path(),
    notebooks: Annotated[bool, typer.Option(help="Execute the notebooks first, and write their outputs.")] = True,
) -> None:
    """Run everything again: all notebooks, the book that shows them, and the report on both surveys.

    Needs a checkout of the project. Without the extra 'notebooks' nothing can be executed; without
    the extra 'site' the report is written and the book is left out, and the command says so.
    """
    from cocoanalysis.errors import ExportError
    from cocoanalysis.report.book import build_book, execute_notebooks

    if notebooks:
        for path in execute_notebooks(project / "notebooks", progress):
            say(f"executed {path.name}")
    try:
        say(f"book: {build_book(project, output / 'book')}")
    except ExportError as error:
        if error.code != "ExtraMissing":
            raise
        say(f"The book is left out. {error}")
    typer.echo(_site(output, None, None, 1))


def _site(output: Path, survey: str | None, responses: Path | None, seed: int) -> Path:
    import matplotlib as mpl

    mpl.use("agg")
    from cocoanalysis.report.site import BUNDLED, missing_points, write_site

    if responses is not None and not responses.is_file():
        raise CocoError(f"There is no file {responses}.", code="NoSuchFile")
    surveys = BUNDLED if survey is None else (survey,)
    index = write_site(output, surveys, responses=responses, seed=seed, progress=progress)
    for name, points in missing_points(index).items():
        lacking = f"missing: {'; '.join(points)}" if points else "nothing is missing"
        say(f"{name}, held against the contents of a rigorous analysis: {lacking}.")
    return index


def progress(steps: Any, what: str) -> Any:
    """A bar on stderr for a person at a terminal; silent in CI and in pipes."""
    from tqdm import tqdm

    silent = bool(os.environ.get("CI")) or not sys.stderr.isatty()
    return tqdm(steps, desc=what, file=sys.stderr, disable=silent, leave=False)
