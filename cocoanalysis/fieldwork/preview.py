"""A survey as one page that anybody can open, fill in and save: no server, no request, no library.

The page holds native form controls and a short script of ours under a strict content-security
policy; item texts are escaped and never run. Answers are downloaded as the tidy CSV that
`read_responses` takes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from cocoanalysis.arguments import new_file
from cocoanalysis.errors import PlatformError, one_of
from cocoanalysis.fieldwork.platforms import Platform, register
from cocoanalysis.fieldwork.questionnaire import Questionnaire, language_name, questionnaire

WORDS = {
    "language": {"en": "Language", "da": "Sprog", "de": "Sprache"},
    "answered": {"en": "Answered", "da": "Besvaret", "de": "Beantwortet"},
    "agree": {"en": "I agree", "da": "Jeg er enig", "de": "Ich stimme zu"},
    "codes": {
        "en": "Codes (set by the link where the survey is fielded)",
        "da": "Koder (sættes af linket, når undersøgelsen er i marken)",
        "de": "Kennungen (werden vom Link gesetzt)",
    },
    "preview": {
        "en": "Preview. Nothing is sent: your answers stay on this device until you save them as a file.",
        "da": "Forhåndsvisning. Intet bliver sendt: dine svar bliver på denne enhed, til du gemmer dem som en fil.",
        "de": "Vorschau. Nichts wird gesendet: Ihre Antworten bleiben auf diesem Gerät, bis Sie sie speichern.",
    },
    "local": {
        "en": "The file holds your answers and the codes above, nothing else.",
        "da": "Filen indeholder dine svar og koderne ovenfor, intet andet.",
        "de": "Die Datei enthält Ihre Antworten und die Kennungen oben, sonst nichts.",
    },
    "save": {"en": "Save the answers as a file", "da": "Gem svarene som en fil", "de": "Antworten als Datei speichern"},
    "thanks": {
        "en": "Thank you. The file has been saved.",
        "da": "Tak. Filen er gemt.",
        "de": "Danke. Die Datei wurde gespeichert.",
    },
}


def write(
    survey: Any,
    path: str | Path,
    *,
    form: str = "full",
    version: int | None = None,
    language: str | None = None,
) -> list[Path]:
    """Write the survey as one self-contained HTML page.

    Parameters
    ----------
    survey : Survey
    path : the page to write
    form, version : which form, and of a planned-missing form which version
    language : the language shown first; all of the survey's can be chosen on the page

    Returns
    -------
    list with the page's path

    Raises
    ------
    PlatformError : UnknownLanguage, UnknownVersion
    """
    target = new_file(path)
    target.write_text(page(questionnaire(survey, form, version), language), encoding="utf-8", newline="\n")
    return [target]


def page(asked: Questionnaire, language: str | None = None) -> str:
    """The page's HTML."""
    survey = asked.survey
    languages = list(survey.languages)
    if language is not None:
        one_of(language, languages, "language of the survey", error=PlatformError, code="UnknownLanguage")
        languages.sort(key=lambda other: other != language)
    script, style = _part("page.js"), _part("page.css") + _columns(asked) + _tongues(languages)
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_part("page.html"))
    return template.render(
        languages=languages,
        names={code: language_name(code) for code in languages},
        title=survey.title,
        introduction=survey.introduction,
        thanks=survey.thanks or WORDS["thanks"],
        ui=WORDS,
        sections=asked.sections,
        identifiers=asked.identifiers,
        labels={name: _label(survey, name) for name in asked.identifiers},
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
        facts=Markup(_json(_facts(asked, languages))),
    )


def _part(name: str) -> str:
    return files("cocoanalysis.fieldwork").joinpath("page", name).read_text(encoding="utf-8")


def _columns(asked: Questionnaire) -> str:
    """One rule for each number of options, since the policy allows no style in an element."""
    sizes = sorted({len(question.options) for question in asked.questions if question.kind == "likert"})
    return "".join(f".n{size} {{ --options: {size}; }}\n" for size in sizes)


def _tongues(languages: list[str]) -> str:
    """Rules that show the words of the page's language only."""
    return "".join(f'html:not([lang="{one}"]) span[lang="{one}"] {{ display: none; }}\n' for one in languages)


def _label(survey: Any, name: str) -> Any:
    return survey.background[name].label if name in survey.background else {"en": name}


def _facts(asked: Questionnaire, languages: list[str]) -> dict[str, Any]:
    survey = asked.survey
    address = survey.address
    told = asked.form if asked.version is None else f"{asked.form}:{asked.version}"
    return {
        "survey": survey.id,
        "version": survey.version,
        "form": told,
        "languages": languages,
        "identifiers": asked.identifiers,
        "address": {"column": address.column, "self": address.self_} if address else None,
    }


def _json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


register(Platform("page", write=write, suffix=".html", title="one page that is filled in the browser"))
