"""The interim table: counts by collaboration, and reliabilities held against their formula; never a mean."""

import numpy as np
import pandas as pd
from typer.testing import CliRunner

import cocoanalysis as coco
from cocoanalysis.cli import app
from tests.shared import ROOT

SURVEY = coco.read_survey(ROOT / "surveys/cocreation")
SAMPLE = ROOT / "surveys/cocreation/synthetic.csv"


def test_counts_and_reliability_by_collaboration():
    responses = coco.read_responses(SAMPLE, SURVEY)
    invited = pd.DataFrame({"collaboration": np.repeat(["c01", "c02", "none"], [20, 20, 3])})
    table = coco.interim(responses, ["mobilising"], invited).set_index("collaboration")
    counts = responses.frame["collaboration"].value_counts()
    assert table["responses"].drop(["all", "none"]).to_dict() == counts.to_dict()
    assert table.loc["all", ["invited", "responses"]].tolist() == [43, len(responses.frame)]
    assert table.loc["none", "responses"] == 0
    assert table.loc["c01", "rate"] == counts["c01"] / 20
    scores = responses.scores(["mobilising"]).assign(group=responses.frame["collaboration"]).dropna()
    groups = scores.groupby("group")["mobilising"]
    k = groups.count()
    n, j = k.sum(), len(k)
    k0 = (n - (k**2).sum() / n) / (j - 1)
    msb = (k * (groups.mean() - scores["mobilising"].mean()) ** 2).sum() / (j - 1)
    msw = (groups.var(ddof=1) * (k - 1)).sum() / (n - j)
    icc1 = (msb - msw) / (msb + (k0 - 1) * msw)
    expected = k["c01"] * icc1 / (1 + (k["c01"] - 1) * icc1)
    np.testing.assert_allclose(table.loc["c01", "icc2_mobilising"], expected, rtol=1e-9)
    np.testing.assert_allclose(table.loc["all", "icc2_mobilising"], (msb - msw) / msb, rtol=1e-9)


def test_too_few_answers_leave_the_reliability_empty():
    few = coco.simulate(ROOT / "surveys/cocreation/world.yaml", n=1, seed=1)
    assert coco.interim(few, ["mobilising"])["icc2_mobilising"].isna().all()


def test_the_command_writes_it_without_a_mean(tmp_path):
    out = tmp_path / "interim.csv"
    for name, content in (("empty.csv", b""), ("junk.csv", b"a,b\n\x00\xff,1\n")):
        (tmp_path / name).write_bytes(content)
        wrong = ["--survey", "cocreation", "--invited", str(tmp_path / name), "-o", str(out)]
        refused = CliRunner().invoke(app, ["interim", str(SAMPLE), *wrong])
        assert (refused.exit_code, isinstance(refused.exception, SystemExit)) == (1, True)
        assert name in refused.stderr
    told = CliRunner().invoke(app, ["interim", str(SAMPLE), "--survey", "cocreation", "-o", str(out)])
    assert told.exit_code == 0, told.output
    table = pd.read_csv(out)
    assert list(table.columns)[:3] == ["collaboration", "responses", "complete"]
    assert all(name.startswith("icc2_") for name in table.columns[3:])
