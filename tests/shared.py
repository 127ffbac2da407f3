"""Reference material that the project cannot carry lies beside a developer's checkout; elsewhere its tests skip."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

needs_shared = pytest.mark.skipif(
    not (SHARED / "README.md").is_file(),
    reason="the reference material that may not be shipped is not beside this checkout",
)
