"""What is written is read back: answers, reasons and provenance, as CSV and as an SPSS file."""

import json

import numpy as np
import pandas as pd
import pytest

from cocoanalysis.errors import CocoError
from cocoanalysis.fieldwork.dataset import shareable, write_dataset
from cocoanalysis.fieldwork.reading import read_responses
from cocoanalysis.instrument.reading import read_survey
from cocoanalysis.responses.responses import Responses
from cocoanalysis.responses.writing import as_text, write_responses, write_sav
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
    assert {"README.md", "CHANGES.md", "dataset_description.json", "ledger.csv", "data/study-small_data.csv"} <= set(
        names
    )
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
