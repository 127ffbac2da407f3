"""Bad answers meet every analysis of this room: a named error or a result that shows itself, never a traceback."""

import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco

ITEMS = list("abcdef")
SCALES = {"x": ["a", "b", "c"], "y": ["d", "e", "f"]}


def answers():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(80, 1)) + rng.normal(size=(80, 6))
    return pd.DataFrame(np.clip(np.round(3 + latent), 1, 5), columns=ITEMS).assign(team=np.repeat(list("pqrs"), 20))


BAD = {
    "case 42 constant item": lambda d: d.assign(a=2.0),
    "case 43 empty item": lambda d: d.assign(a=np.nan),
    "case 46 repeated item": lambda d: d.assign(b=d["a"]),
    "case 48 five people": lambda d: d.head(5),
    "one person": lambda d: d.head(1),
    "nobody": lambda d: d.head(0),
    "case 51 infinite answer": lambda d: d.assign(a=np.inf),
    "case 59 text": lambda d: d.assign(a="x"),
    "case 59 yes and no": lambda d: d.assign(a=d["a"] > 3),
    "empty rows": lambda d: d.assign(**{name: d[name].where(d.index > 3) for name in ITEMS}),
    "case 52 turned item": lambda d: d.assign(a=6 - d["a"]),
    "case 49 no team": lambda d: d.assign(team=None),
}
ANALYSES = {
    "kmo": lambda d: coco.kmo(d, ITEMS),
    "bartlett": lambda d: coco.bartlett(d, ITEMS),
    "map": lambda d: coco.velicer_map(d, ITEMS),
    "retention": lambda d: coco.retention(d, ITEMS, replicates=5),
    "efa": lambda d: coco.efa(d, ITEMS, factors=2),
    "ordinal efa": lambda d: coco.efa(d, ITEMS, factors=1, correlation="polychoric"),
    "items": lambda d: coco.item_analysis(d, ITEMS),
    "reliability": lambda d: coco.reliability(d, SCALES),
    "bootstrap": lambda d: coco.reliability(d, SCALES, interval="bootstrap", bootstrap=20),
    "ordinal reliability": lambda d: coco.ordinal_reliability(d, SCALES, bootstrap=3),
    "split half": lambda d: coco.split_half(d, SCALES),
    "omega": lambda d: coco.omega(d, ITEMS, factors=2),
    "bifactor": lambda d: coco.omega(d, ITEMS, method="bifactor", groups=SCALES),
    "htmt": lambda d: coco.htmt(d, SCALES, bootstrap=10),
    "icc": lambda d: coco.icc(d, ITEMS, "team"),
    "rwg": lambda d: coco.rwg(d, ITEMS, "team"),
    "average deviation": lambda d: coco.average_deviation(d, ITEMS, "team"),
    "within and between": lambda d: coco.within_between(d, ITEMS[:2], "team"),
}


@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.parametrize("bad", BAD)
def test_a_named_error_or_a_result(bad, analysis):
    fault = None
    try:
        found = ANALYSES[analysis](BAD[bad](answers()))
    except coco.CocoError as error:
        fault = error
    if fault:
        assert fault.code
        assert str(fault).endswith((".", ")"))
        return
    assert repr(found)
    assert found._repr_html_()
    assert len(found.glance()) == 1


@pytest.mark.parametrize("analysis", ["kmo", "retention", "efa", "ordinal efa", "reliability", "omega", "htmt"])
@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("case 42 constant item", "ConstantItem"),
        ("case 43 empty item", "AllMissing"),
        ("case 51 infinite answer", "NotFinite"),
        ("case 59 text", "NotANumber"),
    ],
)
def test_the_code_is_the_same_everywhere(bad, code, analysis):
    with pytest.raises(coco.CocoError) as error:
        ANALYSES[analysis](BAD[bad](answers()))
    assert error.value.code == code
