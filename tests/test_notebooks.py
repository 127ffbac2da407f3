"""What makes a committed notebook comparable: executed in order, deterministic, free of private things."""

import json
import re

import pytest

from tests.shared import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BANNED = {
    r"NBVAL_(SKIP|IGNORE)": "every cell is compared",
    r"clear_output|update_display": "display updates cannot be compared",
    r"print\(.*\.summary\(\)|^\s*[\w.]+\.summary2?\(\)\s*$": "statsmodels' summary prints the date",
    r";\s*$": "a trailing semicolon is ignored by the validator",
    r"\.\./shared|/home/|/Users/|/tmp/": "a path of one machine",
    r"np\.random\.(?!default_rng|Generator|SeedSequence)": "unseeded numbers",
    r"pip install": "the environment is the Makefile's",
}


def cells(path, kind="code"):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [c for c in notebook["cells"] if c["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
class TestNotebook:
    def test_is_executed_from_top_to_bottom(self, path):
        assert [c["execution_count"] for c in cells(path)] == list(range(1, len(cells(path)) + 1))
        assert all(source(c).strip() for c in cells(path))

    def test_holds_no_error_and_nothing_on_stderr(self, path):
        outputs = [o for c in cells(path) for o in c["outputs"]]
        assert not [o for o in outputs if o["output_type"] == "error"]
        assert not [o for o in outputs if o.get("name") == "stderr"]

    def test_says_what_must_not_be_there(self, path):
        for cell in cells(path):
            for pattern, why in BANNED.items():
                assert not re.search(pattern, source(cell), flags=re.M), f"{why}: {source(cell)[:80]}"

    def test_carries_no_times_of_execution(self, path):
        assert not [c for c in cells(path) if "execution" in c["metadata"]]

    def test_outputs_carry_no_path_of_a_machine(self, path):
        text = json.dumps([c["outputs"] for c in cells(path)])
        assert not re.search(r"/home/|/Users/|/tmp/|site-packages|C:\\\\", text)
        assert str(ROOT) not in text

    def test_first_cell_names_the_survey_and_the_responses(self, path):
        first = source(cells(path)[0])
        assert re.search(r"^SURVEY = ", first, flags=re.M)
        assert re.search(r"^RESPONSES = ", first, flags=re.M)
        assert "parameters" in cells(path)[0]["metadata"].get("tags", [])

    def test_explains_itself(self, path):
        prose = cells(path, "markdown")
        assert source(prose[0]).startswith("# ")
        assert len(prose) >= len(cells(path)) / 2
        assert sum(len(source(c)) for c in prose) > 1500

    def test_warns_where_the_answers_are_synthetic(self, path):
        text = path.read_text(encoding="utf-8")
        if "cocreation" in source(cells(path)[0]):
            assert "synthetic" in text.lower()
