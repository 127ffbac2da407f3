"""Invitations: a link for each person, which carries who belongs to which collaboration and organisation.

From a CSV of people, or of collaborations with a number of places, to a list of links. Codes and versions of a
planned-missing form are drawn here, so that each collaboration has every version equally often; the same seed
gives the same list. The list is the key between people and answers: keep it apart from the answers, and delete
it when fielding is over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import pandas as pd

from cocoanalysis.arguments import new_file, seed_number
from cocoanalysis.errors import PlatformError, listed, one_of
from cocoanalysis.fieldwork.limesurvey import participants
from cocoanalysis.fieldwork.opening import opened, text_table
from cocoanalysis.fieldwork.platforms import Options, named
from cocoanalysis.fieldwork.questionnaire import questionnaire

PLACES = "n"  # the column that says how many people a collaboration has, where they have no rows of their own
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without l, i, o, 0 and 1, which are misread on paper
CODE_LENGTH = 8
PARAMETERS = {"xlsform": "d[{}]"}  # how a platform's link names an identifier; others take it as it is
RISKY = ("=", "+", "-", "@", "\t", "\r")


def invite(
    people: str | Path,
    survey: Any,
    link: str | Sequence[str],
    *,
    form: str = "full",
    platform: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Give everybody a code and a link that carries the identifiers of the survey.

    Parameters
    ----------
    people : CSV with the survey's column of collaborations, and where the survey has it the one of organisations;
        one row a person (with or without their code), or one row a collaboration and a column ``n``. Other
        columns, such as an e-mail address, are kept.
    link : address of the fielded survey; of a planned-missing form one for each version, or one that holds
        ``{version}`` where the number belongs
    form : full, or a form of the survey; the versions of a planned-missing form are dealt out evenly within
        each collaboration, and as evenly as that allows over all
    platform : where the survey is fielded; 'xlsform' gives links of KoboToolbox and ODK (``?d[collaboration]=c7``),
        the others are linked by ``?collaboration=c7``; 'limesurvey' adds the token to the link and the columns of a
        participant list (firstname, lastname, email, token, attribute_1, …)
    seed : of the codes and versions

    Returns
    -------
    DataFrame with one row a person: the identifiers, form (as planned:1), link, and the columns kept

    Raises
    ------
    PlatformError : NoIdentifiers, MissingColumn, BadIdentifier, BadNumber, DuplicateRespondent, BadLink,
        LinkPerVersion, UnknownForm, UnknownPlatform; and what opening a file raises
    """
    group, respondent, organisation = _columns(survey)
    versions = _versions(survey, form)
    links = _links(link, versions)
    table = _people(Path(people), group, organisation, respondent)
    rng = np.random.default_rng(seed_number(seed, PlatformError))
    table[respondent] = _codes(table[respondent], rng)
    _unique(table, group, respondent)
    drawn = _drawn(table[group], len(versions), rng)
    table["form"] = [versions[place] for place in drawn]
    names = [name for name in (group, organisation, respondent) if name]
    carried = {name: name for name in ([*names, "form"] if len(versions) > 1 else names)}
    carried |= {"token": respondent} if platform == "limesurvey" else {}
    pattern = PARAMETERS.get(named(platform, "write").name, "{}") if platform else "{}"
    table["link"] = [
        _filled(links[place], {name: str(row[source]) for name, source in carried.items()}, pattern)
        for place, (_, row) in zip(drawn, table.iterrows())
    ]
    kept = [name for name in table.columns if name not in (*names, "form", "link", PLACES)]
    told = table[[*names, "form", "link", *kept]].reset_index(drop=True)
    return participants(told, questionnaire(survey)) if platform == "limesurvey" else told


def write_invitations(table: pd.DataFrame, path: str | Path, group: str) -> list[Path]:
    """Write the list as one CSV; to a folder (a path without suffix) one CSV for each collaboration.

    Cells that a spreadsheet would take for a formula are guarded by an apostrophe.
    """
    target, safe = Path(path), table.map(_guarded)
    if target.suffix:
        parts = {new_file(target): safe}
    else:
        target.mkdir(parents=True, exist_ok=True)
        names = {name: re.sub(r"[^A-Za-z0-9]+", "-", str(name)).strip("-") for name in table[group].unique()}
        parts = {
            target / f"{place:03d}-{name[:40]}.csv": safe[table[group] == one]
            for place, (one, name) in enumerate(names.items(), start=1)
        }
    for file, rows in parts.items():
        rows.to_csv(file, index=False, lineterminator="\n", encoding="utf-8-sig")
    return list(parts)


def _guarded(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(RISKY) else cell


# What comes in --------------------------------------------------------------------------------------


def collaboration_column(survey: Any) -> str:
    """The column that names the collaboration.

    Raises
    ------
    PlatformError : NoIdentifiers
    """
    group = survey.collaboration or survey.cluster
    if not group:
        raise PlatformError(
            f"The survey '{survey.id}' names no column for collaborations; add identifiers: {{collaboration: …}} to "
            "its survey.yaml.",
            code="NoIdentifiers",
        )
    return str(group)


def _columns(survey: Any) -> tuple[str, str, str | None]:
    return collaboration_column(survey), survey.respondent or "respondent", survey.organisation


def _versions(survey: Any, form: str) -> list[str]:
    """What the column form holds, for each version of the form."""
    one_of(form, list(dict.fromkeys(["full", *survey.forms])), "form", error=PlatformError, code="UnknownForm")
    design = survey.forms.get(form)
    parts = len(design.parts) if design is not None else 0
    return [f"{form}:{version}" for version in range(parts)] or [form]


def _links(link: str | Sequence[str], versions: Sequence[str]) -> list[str]:
    """One address for each version."""
    given = [link] if isinstance(link, str) else list(link)
    for one in given:
        if urlsplit(one).scheme not in ("http", "https") or not urlsplit(one).netloc:
            raise PlatformError(f"'{one}' is no web address; give the survey's link with https://.", code="BadLink")
    if len(given) == 1 and "{version}" in given[0]:
        return [given[0].replace("{version}", str(number)) for number in range(len(versions))]
    if len(given) != len(versions):
        raise PlatformError(
            f"The form has {len(versions)} version{'s' * (len(versions) > 1)}, but there "
            f"{'is 1 link' if len(given) == 1 else f'are {len(given)} links'}. Give a link for each version in order, "
            "or one with {version} in the place of its number.",
            code="LinkPerVersion",
        )
    return given


def _people(path: Path, group: str, organisation: str | None, respondent: str) -> pd.DataFrame:
    """One row a person, with a column for the code that may be empty."""
    table = text_table(opened(path, Options())).to_pandas().astype(object)
    table = table.apply(lambda column: column.str.strip())
    needed = [name for name in (group, organisation) if name]
    absent = [name for name in needed if name not in table]
    if absent:
        raise PlatformError(
            f"{path.name} has no column {listed(map(repr, absent))}; it has {listed(table.columns)}. Head the columns "
            "as the survey names its identifiers.",
            code="MissingColumn",
        )
    if PLACES in table and respondent not in table:
        table = table.loc[table.index.repeat(_numbers(table[PLACES], path))].reset_index(drop=True)
    if respondent not in table:
        table[respondent] = ""
    for name in (group, organisation, respondent):
        if name:
            _usable(table[name], path, may_be_empty=name != group)
    return table


def read_invitations(path: Path) -> pd.DataFrame:
    """The list that `write_invitations` wrote, every cell as text.

    Raises
    ------
    PlatformError : NoSuchFile, EmptyFile, NulByte and what else opening a file raises
    """
    return text_table(opened(path, Options())).to_pandas().astype(object)


def _numbers(column: pd.Series, path: Path) -> list[int]:
    bad = [place + 2 for place, text in enumerate(column) if not re.fullmatch(r"[1-9]\d{0,4}", text)]
    if bad:
        raise PlatformError(
            f"The column '{PLACES}' of {path.name} must hold whole numbers from 1 to 99999 (row {listed(bad, 5)}).",
            code="BadNumber",
        )
    return [int(text) for text in column]


def _usable(column: pd.Series, path: Path, *, may_be_empty: bool) -> None:
    """Refuse identifiers that are empty, or that a spreadsheet would take for a formula."""
    bad = [
        place + 2
        for place, text in enumerate(column)
        if (not text and not may_be_empty) or text.startswith(RISKY) or not text.isprintable()
    ]
    if bad:
        raise PlatformError(
            f"The column '{column.name}' of {path.name} has cells that cannot be an identifier (row {listed(bad, 5)}): "
            f"they are empty, or begin with one of {' '.join(RISKY[:4])}.",
            code="BadIdentifier",
        )


def _unique(table: pd.DataFrame, group: str, respondent: str) -> None:
    twice = table.duplicated([group, respondent], keep=False)
    if twice.any():
        rows = [place + 2 for place in np.flatnonzero(twice)]
        raise PlatformError(
            f"The same '{respondent}' stands twice in one collaboration (rows {listed(rows, 5)}); give everybody a "
            "code of their own, or leave the column empty.",
            code="DuplicateRespondent",
        )


# What is drawn --------------------------------------------------------------------------------------


def _codes(given: pd.Series, rng: np.random.Generator) -> list[str]:
    """The codes given, and random ones of eight letters and digits for everybody else."""
    taken = {code for code in given if code}
    codes = []
    for code in given:
        while not code:
            drawn = "".join(rng.choice(list(LETTERS), CODE_LENGTH))
            if drawn not in taken and not drawn.isdigit():
                code = drawn
        taken.add(code)
        codes.append(code)
    return codes


def _drawn(groups: pd.Series, versions: int, rng: np.random.Generator) -> np.ndarray:
    """The version of each person: counts within a collaboration differ by one at most, ties go to the rarer ones."""
    drawn, used = np.zeros(len(groups), dtype=int), np.zeros(versions, dtype=int)
    for group in groups.unique():
        places = np.flatnonzero((groups == group).to_numpy())
        rest = len(places) % versions
        rarest = np.lexsort((rng.random(versions), used))[:rest]
        dealt = np.concatenate([np.tile(np.arange(versions), len(places) // versions), rarest])
        drawn[places] = rng.permutation(dealt)
        used += np.bincount(dealt, minlength=versions)
    return drawn


def _filled(link: str, values: dict[str, str], pattern: str) -> str:
    """The link with the identifiers as parameters, before a fragment if there is one."""
    address, mark, fragment = link.partition("#")
    told = "&".join(f"{pattern.format(name)}={quote(value, safe='')}" for name, value in values.items() if value)
    joint = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{joint}{told}{mark}{fragment}"
