"""Invitations: links that carry the identifiers, versions dealt out evenly, the same list from the same seed."""

import csv
import io
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cocoanalysis.cli import app
from cocoanalysis.errors import ExportError, PlatformError
from cocoanalysis.fieldwork.invitations import _drawn, invite, write_invitations
from cocoanalysis.fieldwork.limesurvey import write
from tests.fieldwork.roundtrip import SURVEY

LINK = "https://survey.example.org/s/abc?lang=da"
PEOPLE = "collaboration,organisation,n\nc1,Vejle & Søn,4\nc2,b,5\nc3,b,3\n"


def people(folder, text=PEOPLE):
    file = folder / "people.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_link_carries_its_row(tmp_path):
    table = invite(people(tmp_path), SURVEY, LINK, seed=3)
    assert table["collaboration"].value_counts().to_dict() == {"c1": 4, "c2": 5, "c3": 3}
    assert table["respondent"].is_unique
    for row in table.itertuples():
        told = parse_qs(urlsplit(row.link).query)
        assert {name: values[0] for name, values in told.items()} == {
            "lang": "da",
            "collaboration": row.collaboration,
            "organisation": row.organisation,
            "respondent": row.respondent,
        }
    assert invite(people(tmp_path), SURVEY, LINK, seed=3).equals(table)
    assert not invite(people(tmp_path), SURVEY, LINK, seed=4)["respondent"].equals(table["respondent"])


def test_people_keep_their_codes_and_further_columns(tmp_path):
    text = "collaboration,organisation,respondent,email\nc1,a,p1,=cmd\nc1,a,,b@example.org\n"
    table = invite(people(tmp_path, text), SURVEY, "https://x.example.org/#top", platform="xlsform")
    assert table["respondent"].iloc[0] == "p1"
    assert table["link"].iloc[0] == (
        "https://x.example.org/?d[collaboration]=c1&d[organisation]=a&d[respondent]=p1#top"
    )
    written = write_invitations(table, tmp_path / "lists", "collaboration")
    assert [file.name for file in written] == ["001-c1.csv"]
    assert pd.read_csv(written[0])["email"].iloc[0] == "'=cmd"


def test_versions_of_a_planned_form_have_links_of_their_own(tmp_path):
    table = invite(people(tmp_path), SURVEY, "https://x.example.org/{version}", form="planned", seed=1)
    for row in table.itertuples():
        assert urlsplit(row.link).path == f"/{row.form.removeprefix('planned:')}"
        assert parse_qs(urlsplit(row.link).query)["form"] == [row.form]
    assert set(table["form"]) == {"planned:0", "planned:1", "planned:2"}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(2, 4), st.integers(0, 99))
def test_versions_are_dealt_out_evenly_in_each_collaboration_and_over_all(sizes, versions, seed):
    import numpy as np

    groups = pd.Series(np.repeat(np.arange(len(sizes)), sizes).astype(str))
    drawn = pd.Series(_drawn(groups, versions, np.random.default_rng(seed)))
    counts = pd.crosstab(groups, drawn).reindex(columns=range(versions), fill_value=0)
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1
    assert counts.sum().max() - counts.sum().min() <= 1


@pytest.mark.parametrize(
    ("text", "link", "code"),
    [
        ("team,n\na,3\n", LINK, "MissingColumn"),
        ("collaboration,organisation,n\nc1,a,many\n", LINK, "BadNumber"),
        ("collaboration,organisation,n\n,a,2\n", LINK, "BadIdentifier"),
        ("collaboration,organisation,n\n=c1,a,2\n", LINK, "BadIdentifier"),
        ("collaboration,organisation,respondent\nc1,a,p\nc1,b,p\n", LINK, "DuplicateRespondent"),
        (PEOPLE, "javascript:alert(1)", "BadLink"),
        (PEOPLE, [LINK, LINK], "LinkPerVersion"),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path, text, link, code):
    with pytest.raises(PlatformError) as caught:
        invite(people(tmp_path, text), SURVEY, link)
    assert caught.value.code == code


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_a_seed_is_a_whole_number_from_0_on(tmp_path, seed):
    with pytest.raises(PlatformError, match="whole number") as caught:
        invite(people(tmp_path), SURVEY, LINK, seed=seed)
    assert caught.value.code == "BadSeed"


def test_a_list_is_not_written_below_a_file(tmp_path):
    file = people(tmp_path)
    with pytest.raises(ExportError) as caught:
        write_invitations(invite(file, SURVEY, LINK), file / "list.csv", "collaboration")
    assert caught.value.code == "NotWritable"


def test_the_command_writes_the_list(tmp_path):
    out = tmp_path / "links.csv"
    told = CliRunner().invoke(
        app,
        ["invitations", "cocreation", str(people(tmp_path)), "--link", LINK, "--seed", "3", "-o", str(out)],
    )
    assert told.exit_code == 0, told.output
    assert (
        pd.read_csv(out, encoding="utf-8-sig")["link"].tolist()
        == invite(people(tmp_path), SURVEY, LINK, seed=3)["link"].tolist()
    )
    wrong = CliRunner().invoke(app, ["invitations", "cocreation", str(people(tmp_path)), "--link", "x", "-o", str(out)])
    assert wrong.exit_code == 1


def test_limesurvey_gets_a_participant_list(tmp_path):
    """Its import takes the columns of its table of participants, and a code's name for the names it compares."""
    text = "collaboration,organisation,respondent,email,firstname\nc1,a,p1,a@example.org,Ada\nc1,a,,,\n"
    table = invite(people(tmp_path, text), SURVEY, LINK, platform="limesurvey", seed=2)
    told = table[["firstname", "lastname", "email", "token", "attribute_1", "attribute_2"]]
    code = table["respondent"].iloc[1]
    assert told.iloc[0].tolist() == ["Ada", "", "a@example.org", "p1", "c1", "a"]
    assert told.iloc[1].tolist() == [code, "", "", code, "c1", "a"]
    assert [parse_qs(urlsplit(link).query)["token"] for link in table["link"]] == [["p1"], [code]]
    assert table.drop_duplicates(["firstname", "lastname", "email"]).equals(table)
    with pytest.raises(PlatformError, match="row 2 of the list") as caught:
        invite(
            people(tmp_path, "collaboration,organisation,respondent\nc1,a,p 1\n"), SURVEY, LINK, platform="limesurvey"
        )
    assert caught.value.code == "BadIdentifier"


def test_the_participant_list_fits_the_defaults_of_the_structure(tmp_path):
    rows = csv.DictReader(io.StringIO(write(SURVEY, tmp_path / "s.txt")[0].read_text("utf-8-sig")), delimiter="\t")
    defaults = {row["name"]: row["default"] for row in rows if row["default"]}
    assert defaults == {"respondent": "{TOKEN}", "collaboration": "{TOKEN:ATTRIBUTE_1}"} | {
        "organisation": "{TOKEN:ATTRIBUTE_2}"
    }
