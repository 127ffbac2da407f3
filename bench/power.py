"""Speed of a power analysis: how long 1,000 studies take that are drawn, scored and judged by the plan.

    python bench/power.py            ends with 1 when 1,000 studies of 900 rows need over 1,200 CPU seconds

1,200 CPU seconds are ten minutes on two cores. CPU seconds of one thread are the seconds of an idle core.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import cocoanalysis as coco  # noqa: E402 - the number of threads must be set before

STUDIES = 40
LIMIT = 1200.0  # CPU seconds for 1,000 studies


def main() -> int:
    plan, world = coco.read_plan(ROOT / "surveys" / "cocreation"), coco.read_world(ROOT / "surveys" / "cocreation")
    coco.power(plan, world, replicates=1, seed=0)  # imports and the compiled world
    start = time.process_time()
    found = coco.power(plan, world, replicates=STUDIES, seed=1)
    seconds = (time.process_time() - start) / STUDIES * 1000
    rows = len(found.rows)
    print(f"1,000 studies of 900 rows, drawn, scored and judged on {rows} rows of the plan: {seconds:.0f} CPU seconds")
    print(f"= {seconds / 120:.1f} minutes on two cores (at most 10)")
    return int(seconds > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
