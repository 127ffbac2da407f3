"""A plan is read with every fault located, and its hash is that of its content."""

from pathlib import Path

import pytest

import cocoanalysis as coco

SURVEYS = Path(__file__).parents[2] / "surveys"


@pytest.fixture(params=["cocreation", "unit-climate"])
def bundled(request):
    return SURVEYS / request.param


@pytest.fixture
def copy(tmp_path):
    """A plan with one text replaced, beside a copy of its survey."""

    def write(old="", new="", name="cocreation"):
        for part in ("instruments", name):
            (tmp_path / part).mkdir(exist_ok=True)
            for file in (SURVEYS / part).glob("*.yaml"):
                (tmp_path / part / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        plan = tmp_path / name / "plan.yaml"
        text = plan.read_text(encoding="utf-8")
        assert old in text
        plan.write_text(text.replace(old, new, 1), encoding="utf-8")
        return plan

    return write


def test_bundled_plans_read(bundled):
    plan = coco.read_plan(bundled)
    assert plan.hypotheses
    assert plan.hash == coco.read_plan(bundled / "plan.yaml").hash
    assert set(plan.variables()) <= {*plan.survey.scores, *plan.survey.constructs, *plan.survey.background}


def test_the_cocreation_plan_has_every_hypothesis_of_the_design():
    plan = coco.read_plan(SURVEYS / "cocreation")
    family = {h.id for h in plan.hypotheses if h.family == "confirmatory"}
    assert family == {"H1", "H2a", "H2b", "H2c", "H3a", "H3b", "H4", "H4b", "H5", "H6a", "H6b", "H7", "H8"}
    assert {h.id for h in plan.hypotheses if h.family == "extension"} == {"H9", "H10"}
    assert plan["H2c"].expected == "noninferior"
    assert plan.sesoi(plan["H2c"]) == 0.05


def test_hash_follows_content_and_not_comments(copy):
    before = coco.read_plan(copy()).hash
    assert coco.read_plan(copy("# What is tested", "# Said otherwise:")).hash == before
    assert coco.read_plan(copy("alpha: 0.05", "alpha: 0.01")).hash != before


FAULTS = [
    ("outcome: capacity", "outcome: capcity", "UnknownVariable", "Did you mean 'capacity'?"),
    ("controls: [domain", "controls: [domaine", "UnknownVariable", "'domain'"),
    ("expected: noninferior", "expected: maybe", "NotAllowed", "positive"),
    ("family: extension", "family: extention", "UnknownFamily", "extension"),
    ("- id: H10", "- id: H9", "DuplicateHypothesis", "the first is at"),
    ("vcov: CR2", "vcov: CR9", "NotAllowed", "CR2"),
    ("{model: ols,", "{model: mixed,", "InvalidPairing", "classical"),
    ("estimator: wlsmv", "estimator: mlr", "InvalidPairing", "fiml"),
    ("product: [committing, framing]", "product: [committing]", "UnclearHypothesis", "two variables"),
    ("predictor: framing", "holding: framing", "UnclearHypothesis", "exactly one of"),
    ("alpha: 0.05", "alpha: 5", "NotAllowed", "less than"),
    ("respondent: 0.10", "respondent: -0.1", "TooSmall", "greater than 0; -0.1 came"),
    ("missing: [fiml]", "missing: [mi]", "NotAllowed", "listwise, fiml"),
    ("measure: [latent]", "measure: [factor]", "NotAllowed", "scores, latent"),
    ("vcov: CR2,", "vcov: CR2, few_clusters: bootstrap,", "NotAllowed", "wild, none"),
    ("alpha: 0.05", "alhpa: 0.05", "UnknownKey", "alpha"),
    ("- id: H12", "- id: X12", "NotAllowed", "must match"),
]


@pytest.mark.parametrize(("old", "new", "code", "said"), FAULTS, ids=[f"{f[2]}-{k}" for k, f in enumerate(FAULTS)])
def test_case_72_faults_have_place_code_and_way_out(old, new, code, said, copy):
    plan = copy(old, new)
    before = (SURVEYS / "cocreation/plan.yaml").read_text(encoding="utf-8").splitlines()
    after = plan.read_text(encoding="utf-8").splitlines()
    line = next(k for k, (was, now) in enumerate(zip(before, after), 1) if was != now)
    with pytest.raises(coco.CocoError) as caught:
        coco.read_plan(plan)
    assert caught.value.code == code
    assert said in str(caught.value)
    place = str(caught.value).split(": ")[0].rsplit(":", 2)
    assert abs(int(place[1]) - line) <= 8  # a fault of a whole hypothesis is told at its id
    assert place[0].endswith("plan.yaml")


def test_unknown_hypothesis_is_suggested():
    plan = coco.read_plan(SURVEYS / "cocreation")
    with pytest.raises(coco.CocoError, match="H2a") as caught:
        plan["H2d"]
    assert caught.value.code == "UnknownHypothesis"
