"""The same synthetic answers in each platform's export shape must come back as the same Responses."""

import shutil
from functools import cache

import pandas as pd

import cocoanalysis as coco
from tests.shared import ROOT

SURVEY = coco.read_survey(ROOT / "surveys/cocreation")


@cache
def answered(n=40, seed=7):
    """Synthetic responses, complete in the sense of sent, with skipped, refused and 'cannot judge' cells."""
    return coco.simulate(ROOT / "surveys/cocreation/world.yaml", n=n, seed=seed)


def cells(responses):
    """What the platform would hold: code or missing code of every item and background question, as text."""
    survey = responses.survey
    table = {}
    for id in [*survey.background, *survey.items]:
        if id not in responses.frame:
            continue
        question = survey.items.get(id) or survey.background[id]
        gaps = question.scale.missing if id in survey.items else question.missing
        codes = {gap.reason: gap.code for gap in gaps}
        reasons = responses.missing[id].astype(object)
        values = responses.frame[id].astype("string").fillna("").astype(object)
        table[id] = [codes.get(reason, "") if value == "" else value for value, reason in zip(values, reasons)]
    return pd.DataFrame(table, dtype=object)


def hold_the_same(back, responses):
    """Scores, values and reasons agree; skipped and not reached are both an empty cell in an export."""
    items = list(responses.survey.items)
    asked = [id for id in items if id in back.frame]
    assert set(asked) == {id for id in items if id in responses.frame}
    pd.testing.assert_frame_equal(
        back.items(asked).reset_index(drop=True), responses.items(asked).reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(
        back.scores().reset_index(drop=True), responses.scores().reset_index(drop=True), check_exact=True
    )
    told, came = (_reasons(one, asked) for one in (responses, back))
    assert came == told
    for id in ("collaboration", "rating", "domain", "country", "mandated"):
        assert back.frame[id].astype(str).tolist() == responses.frame[id].astype(str).tolist()


def _reasons(responses, ids):
    table = responses.missing[ids].astype(object).fillna("").replace("not_reached", "skipped")
    return table.to_numpy().tolist()


HOSTILE = "pick <script>alert(1)</script> & {rating} ${rating} {{7*7}} [rating] ]]> =1+1"


def hostile(folder):
    """The survey with words in its first item that some platform would run, evaluate or take as its own mark."""
    shutil.copytree(ROOT / "surveys", folder / "surveys")
    file = folder / "surveys/instruments/leadership-practices.yaml"
    words = file.read_text("utf-8").replace("pick partners for what they can add", HOSTILE)
    file.write_text(words, encoding="utf-8")
    return coco.read_survey(folder / "surveys/cocreation")
