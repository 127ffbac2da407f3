"""Names in terms and headings are said in the survey's words."""

from types import SimpleNamespace

import pytest

import cocoanalysis as coco
from cocoanalysis.report import tables
from cocoanalysis.report.labels import phrase


@pytest.mark.parametrize(
    ("term", "shown"),
    [
        ("country[T.norway]", "Country: Norway"),
        ("country[T.atlantis]", "Country: atlantis"),
        ("within(mobilising)", "within(Mobilising)"),
        ("within(mobilising):country[T.norway]", "within(Mobilising):Country: Norway"),
        ("unknown[T.norway]", "unknown[T.norway]"),
        ("Intercept", "Intercept"),
    ],
)
def test_a_term_is_said_in_the_surveys_words(term, shown):
    assert phrase(SimpleNamespace(survey=coco.read_survey("surveys/cocreation")), term) == shown


@pytest.mark.parametrize(("name", "shown"), [("sd", "SD"), ("sd, without", "SD, without"), ("odd_one", "Odd one")])
def test_a_known_column_keeps_its_heading_with_a_word_behind_it(name, shown):
    assert tables.heading(name) == shown
