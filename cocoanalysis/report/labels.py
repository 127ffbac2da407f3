"""Label texts as they may be shown: the survey's words, without anything that could act.

A label is foreign text. Control and direction-changing characters are taken out here, once;
each renderer (HTML, LaTeX, docx, figure) escapes what its own language would read as code.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from typing import Any

from cocoanalysis.errors import CocoError


def label(result: Any, name: object, language: str = "en") -> str:
    """What the survey calls a construct, item or block; the name itself where no survey says."""
    survey = getattr(result, "survey", None)
    if survey is None:
        return plain(name)
    try:
        return plain(survey.label(str(name), language))
    except (CocoError, KeyError):  # a name the survey does not know, such as a regression term
        return plain(name)


def phrase(result: Any, text: object, language: str = "en") -> str:
    """A term such as 'within(soft)' or 'country[T.norway]' with the survey's words for the names in it."""
    known = getattr(result, "survey", None)
    if known is None:
        return plain(text)

    groups = (known.constructs, getattr(known, "scores", {}), getattr(known, "background", {}))

    def words(found: re.Match[str]) -> str:
        name, code = found["name"], found["code"]
        if not any(name in group for group in groups):
            return found.group()
        background = getattr(known, "background", {}).get(name)
        if code is None or background is None:
            return label(result, name, language) + found.group()[len(name) :]
        return f"{label(result, name, language)}: {plain(background.labels(language).get(code, code))}"

    return re.sub(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(\[T\.(?P<code>[^\]]*)\])?", words, plain(text))


def item_label(result: Any, name: object, language: str = "en") -> str:
    """'mob1 (R) involve only those who ask': the id, R when reverse-keyed, and the item's own words."""
    item = getattr(getattr(result, "survey", None), "items", {}).get(str(name))
    if item is None:
        return label(result, name, language)
    words = plain(item.wording(language)) if hasattr(item, "wording") else label(result, name, language)
    return f"{plain(name)}{' (R)' if item.key < 0 else ''} {words}"


def plain(text: object) -> str:
    """The text on one line, without control characters and without overrides of its direction."""
    kept = "".join(
        " " if character.isspace() and character != "\u00a0" else character
        for character in str(text)
        if character.isspace() or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co"}
    )
    return re.sub(r"[^\S\u00a0]+", " ", kept).strip()


def figure_text(text: object, width: int | None = None) -> str:
    """A label for matplotlib: a dollar sign stays a dollar sign, long text is wrapped at ``width``."""
    shown = plain(text)
    if width is not None:
        shown = "\n".join(textwrap.wrap(shown, width)) or shown
    return shown.replace("$", r"\$")
