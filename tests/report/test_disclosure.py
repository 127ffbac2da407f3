"""Nothing that the report writes shows a person: small cells are withheld, a planted person is nowhere found."""

import json

import matplotlib
import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.cli import app
from cocoanalysis.report import plots, site, tables
from cocoanalysis.report.origin import recall
from cocoanalysis.report.plots import merged_small
from tests.report.test_tables import cells
from tests.shared import ROOT

matplotlib.use("agg")
CANARY = "Canary-7391-Kiwi"


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """The real sample as if it were one's own, with one person who alone gives some answers."""
    path = tmp_path_factory.mktemp("private") / "answers.csv"
    frame = pd.read_csv(ROOT / "surveys" / "unit-climate" / "responses.csv", dtype=str)
    frame = frame.drop(columns=[name for name in frame.columns if name == "provenance"])
    survey = coco.read_survey("unit-climate")
    names = {column: name for name, column in survey.samples[0].code_map.items()}
    frame = frame.rename(columns=names)
    frame["lead1"] = frame["lead1"].replace("5", "4")
    frame.loc[7, "lead1"] = "5"
    frame.loc[7, "lead2"] = ""
    frame["soldier"] = [f"s{i}" for i in range(len(frame))]
    frame.loc[7, "soldier"] = CANARY
    frame["comment"] = ""
    frame.loc[7, "comment"] = f"{CANARY}@example.org"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def responses(private):
    found = coco.read_responses(private, coco.read_survey("unit-climate"))
    assert found.provenance == "yours"
    return found


def test_shares_of_few_people_are_withheld_in_the_table_and_behind_it(responses):
    table = tables.descriptives(coco.item_analysis(responses, "leadership"))
    row = next(row for row in cells(table) if row[0].startswith("lead1 "))
    assert "withheld" in row
    behind = recall(table).frame.set_index("item")
    assert np.isnan(behind.loc["lead1", "ceiling"])
    assert behind.loc["lead3", "ceiling"] > 0
    assert "withheld" in " ".join(recall(table).notes)
    assert behind["maximum"].isna().all()


def test_missing_reasons_of_few_people_are_withheld(responses):
    table = tables.missing(responses)
    row = next(row for row in cells(table) if row[0].startswith("lead2 "))
    assert "withheld" in row
    assert plots.missing(responses).patches[0].get_width() == 0


def test_answers_of_few_people_are_joined_with_the_next_category(responses):
    ax = plots.likert(responses, ["lead1", "lead3"])
    widths = [bar.get_width() * responses.frame["lead1"].notna().sum() for bar in ax.patches if bar.get_width() > 0]
    assert min(widths) >= 9.5
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([3, 20, 30, 20, 12], [0, 23, 30, 20, 12]),
        ([3, 4, 30, 20, 1], [0, 0, 37, 21, 0]),
        ([2, 20, 4, 30, 0], [0, 22, 0, 34, 0]),
        ([1, 1, 2, 1, 0], [0, 0, 0, 0, 0]),
        ([50, 0, 0, 50], [50, 0, 0, 50]),
    ],
)
def test_joined_categories_keep_all_people_and_show_no_few(counts, shown):
    found = merged_small(pd.Series(counts))
    assert found.tolist() == shown
    assert ((found == 0) | (found >= 10)).all()


def test_a_planted_person_is_in_no_file_of_the_report(private, tmp_path):
    index = site.write_site(tmp_path / "site", ["unit-climate"], responses=private)
    marks = [CANARY.encode(), b"example.org", CANARY.lower().encode()]
    written = [path for path in index.parent.rglob("*") if path.is_file()]
    assert len(written) > 20
    for path in written:
        content = path.read_bytes()
        assert not [mark for mark in marks if mark in content], path.name
    record = json.loads((index.parent / site.MANIFEST).read_text("utf-8"))
    assert record["surveys"]["unit-climate"]["answers"] == "answers.csv"


def test_a_planted_person_is_in_no_message(private, tmp_path):
    from typer.testing import CliRunner

    broken = tmp_path / "broken.csv"
    text = private.read_text("utf-8").replace(CANARY, f"{CANARY}", 1)
    lines = text.splitlines()
    lines[8] = lines[8].replace(",5,", f",{CANARY}-answer,", 1)
    broken.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["read", str(broken), "--survey", "unit-climate", "-o", str(tmp_path / "clean.csv")])
    assert CANARY not in done.stderr
    assert CANARY not in done.stdout
