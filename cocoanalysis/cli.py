"""The command line ``coco``: one function a command, the work is done by the rooms.

Exit codes: 0 success, 1 a finding (the files or answers are at fault), 2 misuse of the command.
Results go to stdout, messages and progress to stderr. Rooms are imported when a command runs, so
that ``coco --help`` answers at once. To add a command, write a function and put @app.command() above it.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cocoanalysis.errors import CocoError, CocoWarning

MISUSE = {"NoSuchFile", "UnknownSurvey", "UnknownChoice", "UnknownForm", "ReservedName", "NameTooLong", "ExtraMissing"}


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
    """A message for the person at the screen."""
    typer.echo(text, err=True)


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
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, for other programs.")] = False,
) -> None:
    """Look for faults in a survey's files and in its plan; each with file, line and column.

    Ends with exit code 1 when there is a fault. Warnings are doubts that a careful colleague
    would raise; they alone end with 0.
    """
    from cocoanalysis.instrument.reading import check_survey

    findings = check_survey(survey)
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
