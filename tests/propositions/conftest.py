import json
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "tests/reference"


@pytest.fixture(scope="session")
def reference():
    """What sandwich 3.0-2, clubSandwich 0.5.8, lme4 1.1-31, lmerTest 3.1-3 and MASS say (make_regression.R)."""
    return json.loads((REFERENCE / "regression.json").read_text())


@pytest.fixture(scope="session")
def climate():
    """lq2002 with the scale means under the names of the R script."""
    table = pd.read_csv(ROOT / "surveys/unit-climate/responses.csv")
    scales = {"LEAD": ("lead", 11), "TSIG": ("tsig", 3), "HOSTILE": ("host", 5)}
    for name, (stem, size) in scales.items():
        table[name] = table[[f"{stem}{i + 1}" for i in range(size)]].mean(axis=1)
    return table
