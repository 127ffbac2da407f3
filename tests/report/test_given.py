"""Every table and figure refuses what it does not show, in a sentence that names what it does show."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.report import plots, tables

from .conftest import Made

HELPERS = {"written", "heading", "kind_of", "sorted_loadings", "chosen_measures", "labelled", "interval", "intervals",
           "missing_by_reason", "merged_small", "checked", "withheld", "published_ledger", "withheld_rows"}  # fmt: skip


def shown_by(module):
    own = inspect.getmembers(module, inspect.isfunction)
    return {
        f"{module.__name__.rsplit('.', 1)[1]}.{name}": function
        for name, function in own
        if function.__module__ == module.__name__ and not name.startswith("_") and name not in HELPERS
    }


SHOWING = shown_by(tables) | shown_by(plots)
WRONG = {
    "nothing": None,
    "a number": 3,
    "a text": "a",
    "an array": np.eye(2),
    "another result": Made(pd.DataFrame({"other": [1.0]}), pd.DataFrame({"other": [1.0]})),
    "a class": coco.CocoError,
}
ANY_TABLE = {"tables.estimates", "tables.missing"}  # show every result


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_all_are_here():
    assert len(SHOWING) >= 32
    assert {"tables.verdicts", "tables.fit", "plots.forest", "plots.path"} <= set(SHOWING)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", SHOWING)
def test_what_is_not_shown_is_refused(name, wrong):
    if wrong == "another result" and name in ANY_TABLE:
        assert SHOWING[name](WRONG[wrong]) is not None
        return
    with pytest.raises(coco.CocoError) as raised:
        SHOWING[name](WRONG[wrong])
    assert raised.value.code in {"NotThatResult", "NoMatrix"}
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize("name", sorted(set(SHOWING) - ANY_TABLE))
def test_responses_are_no_results(name, responses):
    if name.split(".")[1] in {"flow", "likert", "missing", "correlations"}:
        return
    with pytest.raises(coco.CocoError) as raised:
        SHOWING[name](responses)
    assert raised.value.code in {"NotThatResult", "NoMatrix"}
