"""What is written is read back: answers, reasons and provenance, as CSV and as an SPSS file."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cocoanalysis.errors import CocoError
from cocoanalysis.fieldwork.dataset import shareable, write_dataset
from cocoanalysis.fieldwork.reading import read_responses
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.responses.disclosure import coarsened
from cocoanalysis.responses.responses import Responses
from cocoanalysis.responses.writing import as_text, write_responses, write_sav
from tests.shared import ROOT
from tests.small import ITEMS, written

WORDS = ["refused", "cannot_judge", "skipped", "not_asked", "not_reached", "invalid", "missing_97"]


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return read_survey(written(tmp_path_factory.mktemp("small")))


def sample(survey, provenance="synthetic", n=60, seed=3):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"person": [f"canary{i:03d}" for i in range(n)], "team": [f"t{i % 4}" for i in range(n)]})
    frame["sector"] = pd.array(rng.choice(["public", "private"], n), dtype="str")
    frame["years"] = rng.choice([1.0, 2.5, 10.0], n)
    frame["remark"] = [f"=canary, {i}\nø" for i in range(n)]
    reasons = pd.DataFrame(None, index=frame.index, columns=ITEMS, dtype=object)
    for id in ITEMS:
        codes = [1, 2, 3, 5] if id.startswith("ste") else [1, 2, 3, 4, 5]
        frame[id] = pd.array(rng.choice(codes, n), dtype="Int64")
        gaps = rng.random(n) < 0.2
        frame.loc[gaps, id] = pd.NA
        reasons.loc[gaps, id] = rng.choice(WORDS[:5], gaps.sum())
    return Responses.from_frame(frame, survey, missing=reasons, provenance=provenance)


def same(read, made, columns):
    for name in columns:
        assert read.frame[name].astype(object).where(read.frame[name].notna(), None).tolist() == (
            made.frame[name].astype(object).where(made.frame[name].notna(), None).tolist()
        ), name
        assert (
            read.missing[name].astype(object).fillna("").tolist()
            == made.missing[name].astype(object).fillna("").tolist()
        )
    pd.testing.assert_frame_equal(read.scores(), made.scores(), check_index_type=False)


@pytest.mark.parametrize("seed", range(4))
def test_csv_comes_back_with_every_reason(survey, tmp_path, seed):
    made = sample(survey, seed=seed)
    read = read_responses(write_responses(made, tmp_path / "answers.csv"), survey)
    same(read, made, ["person", "team", "sector", "years", "remark", *ITEMS])
    assert read.provenance == "synthetic"


@pytest.mark.parametrize("seed", range(4))
def test_sav_comes_back_with_every_reason(survey, tmp_path, seed):
    made = sample(survey, seed=seed)
    read = read_responses(write_sav(made, tmp_path / "answers.sav"), survey)
    same(read, made, ["person", "team", "sector", "years", *ITEMS])
    assert read.provenance == "synthetic"


def test_text_of_flags_and_numbers(survey):
    table = as_text(sample(survey).screen())
    assert set(table["flag_attention"]) <= {"true", "false"}
    assert set(table["years"].map(str)) == {"1", "2.5", "10"}


# A data set that may be shared --------------------------------------------------------------------------


def test_shared_folder_holds_no_canary(survey, tmp_path):
    made = sample(survey, "yours", n=400)
    folder = write_dataset(made, tmp_path / "shared", k=5, licence="CC-BY-4.0")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    documents = ["codebook.md", "data-dictionary.csv", "ledger.csv", "study-small.xml"]
    assert names == sorted([".psychds-ignore", "CHANGES.md", "README.md", "dataset_description.json",
                            "data/study-small_data.csv", "data/study-small_data.sav",
                            *(f"documentation/{name}" for name in documents)])  # fmt: skip
    for path in folder.rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes(), path
    about = json.loads((folder / "dataset_description.json").read_text())
    assert {one["name"] for one in about["variableMeasured"]} >= {"tru1", "sector", "team"}
    read = read_responses(folder / "data" / "study-small_data.csv", survey)
    assert len(read) == 400
    expected = made.scores().mean()
    pd.testing.assert_series_equal(read.scores().mean(), expected)
    assert (
        read.frame.groupby("team").size().sort_values().tolist()
        == made.frame.groupby("team").size().sort_values().tolist()
    )


def test_recognisable_people_keep_the_folder_from_being_written(survey, tmp_path):
    made = sample(survey, "yours", n=30)
    with pytest.raises(CocoError) as caught:
        write_dataset(made, tmp_path / "shared", k=50)
    assert caught.value.code == "Recognisable"
    assert "years" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert not (tmp_path / "shared").exists()
    for k in (1, 0, -3):  # which would protect nobody
        with pytest.raises(CocoError, match="whole number from 2 on"):
            write_dataset(made, tmp_path / "shared", k=k)
    write_dataset(sample(survey, "synthetic", n=30), tmp_path / "shared", k=50)
    with pytest.raises(CocoError) as caught:
        write_dataset(made, tmp_path / "shared")
    assert caught.value.code == "FolderNotEmpty"


def test_shared_rows_cannot_be_matched_by_order(survey):
    made = sample(survey, "yours", n=200)
    out = shareable(made, seed=1)
    assert "remark" not in out.frame
    assert not out.frame["tru1"].equals(made.frame["tru1"])
    assert "left out: remark" in out.ledger["rule"].iloc[-1]


def test_dataset_keeps_the_rules_of_psych_ds(tmp_path):
    """The rules that are errors in schema 1.5.1: file names, required fields, columns and metadata both ways."""
    survey = read_survey("unit-climate")
    made = read_responses(ROOT / "surveys" / "unit-climate" / "responses.csv", survey)
    folder = write_dataset(made, tmp_path / "shared")
    about = json.loads((folder / "dataset_description.json").read_text("utf-8"))
    assert {"name", "description", "variableMeasured"} <= set(about)
    assert (about["@type"], about["@context"]) == ("Dataset", "https://schema.org/")
    data = list((folder / "data").rglob("*.csv"))
    assert [path.name for path in data] == ["study-unitclimate_data.csv"]
    assert all(re.fullmatch(r"([a-z]+-[a-zA-Z0-9]+)(_[a-z]+-[a-zA-Z0-9]+)*_data\.csv", path.name) for path in data)
    with data[0].open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[0] == [one["name"] for one in about["variableMeasured"]]
    allowed = {"@type", "name", "description", "valueReference", "value"}  # properties of schema.org's PropertyValue
    assert all(set(one) <= allowed and one["@type"] == "PropertyValue" for one in about["variableMeasured"])


def test_coarsened_data_can_be_shared(survey, tmp_path):
    made = sample(survey, "yours", n=80)
    with pytest.raises(CocoError) as caught:
        write_dataset(made, tmp_path / "shared", k=20)
    assert "coarsen" in str(caught.value)
    folder = write_dataset(made, tmp_path / "shared", k=20, coarsen=True)
    frame = pd.read_csv(folder / "data" / "study-small_data.csv", dtype=str)
    left = [name for name in ("sector", "years") if name in frame]
    assert not left or frame.groupby(left, dropna=False).size().min() >= 20
    steps = pd.read_csv(folder / "documentation" / "ledger.csv")
    assert steps["rule"].str.match("(band|merge|drop) (years|sector)").any()
    other = write_dataset(made, tmp_path / "other", k=20, leave_out=["years", "sector"])
    assert "years" not in pd.read_csv(other / "data" / "study-small_data.csv", dtype=str)
    with pytest.raises(CocoError) as caught:
        write_dataset(made, tmp_path / "third", leave_out=["yeers"])
    assert caught.value.code == "UnknownVariable"
    assert not list(tmp_path.glob(".*"))


def test_coarsening_goes_on_until_nobody_is_at_risk(survey):
    made = sample(survey, "yours", n=30)
    rng = np.random.default_rng(1)
    extra = {f"extra{i}": rng.choice(["a", "b"], 30) for i in range(20)}
    wide = replace(made, answers=made.answers.assign(**extra), reasons=made.reasons.assign(**dict.fromkeys(extra)))
    found = coarsened(wide, 5, variables=list(extra))
    left = [name for name in extra if name in found.answers]
    assert left
    assert found.answers.groupby(left).size().min() >= 5
    assert len(extra) - len(left) > 12
