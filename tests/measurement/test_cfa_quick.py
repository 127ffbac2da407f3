"""The engine at a glance: published numbers of the Holzinger & Swineford model."""

import pandas as pd

import cocoanalysis as coco
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared
MODEL = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"


def test_published_fit_of_the_lavaan_tutorial():
    """Rosseel (2012), section 3: χ²(24) = 85.306, CFI .931, TLI .896, RMSEA .092, SRMR .065."""
    data = pd.read_csv(SHARED / "data" / "lavaan_HolzingerSwineford1939.csv")
    row = coco.cfa(data, MODEL).glance().iloc[0]
    shown = [round(row[name], 3) for name in ("chi2", "cfi", "tli", "rmsea", "srmr")]
    assert shown == [85.306, 0.931, 0.896, 0.092, 0.065]
    assert row["df"] == 24
