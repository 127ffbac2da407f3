"""Figures show the result's numbers; pixels are not compared, what is drawn is."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import cocoanalysis as coco
from cocoanalysis.errors import CocoError
from cocoanalysis.report import pathdiagram, plots
from cocoanalysis.report.origin import recall

from .conftest import Made, make_survey

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(ax):
    found = [text.get_text() for text in ax.findobj(matplotlib.text.Text)]
    figure = ax.figure.findobj(matplotlib.text.Text)
    return [*found, *(text.get_text() for text in figure)]


class Fitted(Made):
    def tidy(self, standardized=False):
        return self._tidy


def model(*rows):
    return pd.DataFrame(rows, columns=["lhs", "op", "rhs", "std_all"])


MEASUREMENT = [
    ("mobilising", "=~", "mob1", 0.7),
    ("mobilising", "=~", "mob2", 0.6),
    ("mobilising", "=~", "mob3", -0.5),
    ("soft", "=~", "soft1", 0.7),
    ("soft", "=~", "soft2", 0.8),
    ("mobilising", "~~", "soft", 0.55),
]
STRUCTURE = [("outcome", "~", "mobilising", 0.3), ("outcome", "~", "align", 0.2), ("align", "~", "mobilising", 0.4)]


def power_table():
    rows = [
        (h, size, verdict, share)
        for h in ("H1", "H2")
        for size in ("30 × 15", "60 × 15")
        for verdict, share in (("supported", 0.6), ("negligible", 0.1), ("inconclusive", 0.3))
    ]
    return Made(pd.DataFrame(rows, columns=["hypothesis", "size", "verdict", "share"]))


def specifications():
    estimates = np.r_[np.linspace(-0.1, 0.3, 21), np.nan]
    frame = pd.DataFrame({"estimate": estimates, "ci_lower": estimates - 0.1, "ci_upper": estimates + 0.1})
    frame["verdict"] = np.where(frame["ci_lower"] > 0, "supported", "inconclusive")
    return Made(frame)


def simple_slopes():
    x = np.linspace(-1, 1, 5)
    parts = [pd.DataFrame({"predictor": x, "outcome": s * x, "moderator": m}) for m, s in ((-1.0, 0.1), (1.0, 0.4))]
    return Made(
        lines=lambda: pd.concat(parts), predictor="soft", outcome="y", moderator="mobilising", survey=make_survey()
    )


EIGENVALUES = pd.DataFrame({"rank": [1, 2, 3], "observed": [2.2, 0.9, 0.4], "simulated": [1.2, 1.0, 0.8]})


def missing_across(provenance="synthetic"):
    frame = pd.DataFrame({"lead": [0.02, 0.30], "participant": [0.25, 0.40]}, index=["mobilising", "soft"])
    frame.attrs["n"] = {"lead": 100, "participant": 300}
    return Made(survey=make_survey(), provenance=provenance, across=lambda by: frame)


@pytest.fixture
def drawn(responses, explored, verdicts, ladder):
    """Every figure once."""
    fitted = Fitted(model(*MEASUREMENT), survey=make_survey())
    structural = Fitted(model(*MEASUREMENT, *STRUCTURE), survey=make_survey())
    return {
        "likert": lambda ax=None: plots.likert(responses, "practices", ax=ax),
        "missing": lambda ax=None: plots.missing(responses, ax=ax),
        "missing map": lambda ax=None: plots.missing_map(missing_across(), "role", ax=ax),
        "flow": lambda ax=None: plots.flow(responses, ax=ax),
        "correlations": lambda ax=None: plots.correlations(responses, ax=ax),
        "scree": lambda ax=None: plots.scree(Made(EIGENVALUES, n_factors=1), ax=ax),
        "loadings": lambda ax=None: plots.loadings(explored, ax=ax),
        "invariance": lambda ax=None: plots.invariance(ladder, ax=ax),
        "forest": lambda ax=None: plots.forest(verdicts, ax=ax),
        "slopes": lambda ax=None: plots.slopes(simple_slopes(), ax=ax),
        "specification": lambda ax=None: plots.specification(specifications(), ax=ax),
        "power": lambda ax=None: plots.power(power_table(), ax=ax),
        "path": lambda ax=None: plots.path(fitted, ax=ax),
        "path of a structure": lambda ax=None: plots.path(structural, ax=ax),
    }


FIGURES = [
    "likert",
    "missing",
    "missing map",
    "flow",
    "correlations",
    "scree",
    "loadings",
    "invariance",
    "forest",
    "slopes",
    "specification",
    "power",
    "path",
    "path of a structure",
]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_that_it_is_synthetic_and_is_cut_nowhere(drawn, name):
    ax = drawn[name]()
    assert any("Synthetic data" in text for text in texts(ax))
    assert recall(ax).provenance == "synthetic"
    ax.figure.canvas.draw()
    renderer = ax.figure.canvas.get_renderer()
    for text in ax.figure.findobj(matplotlib.text.Text):
        if text.get_text().strip() and text.get_visible() and text.axes is not None and text.get_in_layout():
            box = text.get_window_extent(renderer)
            assert box.x0 > -2 or not _ticked(ax, text), text.get_text()


def test_a_specification_curve_has_its_choices_below():
    made = specifications()
    frame = made.tidy().assign(measure=["latent", "scores"] * 11, joint=False)
    ax = plots.specification(Made(frame))
    curve, panel = ax.figure.axes
    assert curve is ax
    assert [label.get_text() for label in panel.get_yticklabels()] == ["measure: latent", "measure: scores"]
    assert sum(len(line.get_xdata()) for line in panel.get_lines()) == 21  # the failed one has no place on the curve
    assert len(plots.specification(made).figure.axes) == 1


def _ticked(ax, text):
    return text in ax.get_yticklabels() or text in ax.get_xticklabels()


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_goes_into_given_axes(drawn, name):
    figure, ax = plt.subplots()
    assert drawn[name](ax) is ax
    figure.canvas.draw()


def test_no_figure_of_a_result_draws_single_respondents(drawn, responses):
    """As many marks as there are respondents would be a scatter of persons."""
    for draw in drawn.values():
        ax = draw()
        assert all(len(line.get_xdata()) < len(responses.frame) for line in ax.lines)
        assert not [c for c in ax.collections if len(c.get_offsets()) >= len(responses.frame)]


def test_likert_bars_are_the_shares_of_answers_as_given(drawn, responses):
    ax = drawn["likert"]()
    shares = responses.frame["mob3"].value_counts(normalize=True)
    place = 3  # third of six from the top
    widths = {round(bar.get_width(), 9) for bar in ax.patches if abs(bar.get_y() + bar.get_height() / 2 - place) < 0.01}
    assert {round(float(value), 9) for value in shares} <= widths
    assert any("mob3 (R)" in text for text in texts(ax))


def test_likert_needs_one_response_scale(responses):
    other = type(responses.survey.items["soft1"].scale)(**vars(responses.survey.items["soft1"].scale))
    other.id = "agreement"
    responses.survey.items["soft1"].scale = other
    with pytest.raises(CocoError) as error:
        plots.likert(responses)
    assert error.value.code == "SeveralScales"


def test_forest_draws_each_estimate_where_it_is(drawn, verdicts):
    ax = drawn["forest"]()
    marks = sorted(float(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1)
    assert marks == sorted(verdicts.tidy()["estimate"].dropna())


def test_correlations_keep_the_order_of_the_constructs(responses):
    shuffled = responses.items(None, keyed=True)[["soft2", "mob2", "soft1", "mob1", "mob3", "soft3"]].corr()
    shuffled_result = Made(correlations=shuffled, survey=responses.survey)
    ax = plots.correlations(shuffled_result)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["mob1", "mob2", "mob3", "soft1", "soft2", "soft3"]
    assert np.allclose(
        ax.images[0].get_array(), shuffled.loc[list(responses.survey.items), list(responses.survey.items)]
    )


def test_flow_counts_the_rows_of_the_ledger(drawn):
    shown = " ".join(texts(drawn["flow"]()))
    for words in ("n = 332", "not finished: 24 rows", "(exploratory)", "n = 300"):
        assert words in shown.replace("\n", " ")


def test_layers_follow_the_arrows():
    arrows = [
        pathdiagram.Edge("mobilising", "align", 1),
        pathdiagram.Edge("align", "outcome", 1),
        pathdiagram.Edge("mobilising", "outcome", 1),
    ]
    assert pathdiagram.layers(arrows) == {"mobilising": 0, "align": 1, "outcome": 2}


def test_layers_end_for_a_loop():
    loop = [pathdiagram.Edge("a", "b", 1), pathdiagram.Edge("b", "a", 1)]
    assert set(pathdiagram.layers(loop)) == {"a", "b"}


def test_case_78_hostile_labels_are_drawn_as_text(responses):
    survey = make_survey(
        dict.fromkeys(["mobilising", "soft", *responses.survey.items], r"$\frac{1}{</script>\input{x} $ \u202e")
    )
    responses.survey = survey
    for draw in (plots.likert, plots.correlations):
        draw(responses).figure.canvas.draw()


def test_colours_stay_apart_in_grey():
    """Verdicts that share a grey differ in marker or in fill."""
    looks = {name: (marker, face == "white") for name, (_, marker, face) in plots.VERDICTS.items()}
    assert len(set(looks.values())) == len(looks)


def test_the_map_of_missing_answers_leaves_small_cells_of_real_answers_empty():
    shown = {kind: set(texts(plots.missing_map(missing_across(kind), "role"))) for kind in ("public real", "yours")}
    assert {"2 %", "25 %", "30 %", "40 %"} <= shown["public real"]
    assert "2 %" not in shown["yours"]  # two people
    assert {"25 %", "30 %", "40 %"} <= shown["yours"]


def test_sample_flow_goes_from_those_invited_to_those_analysed():
    made = coco.simulate("surveys/cocreation/world.yaml", n=300, seed=1).screen()
    ax = plots.sample_flow(coco.sample_flow(made, invited=700))
    texts = [text.get_text() for text in ax.texts]
    assert [text.splitlines()[0] for text in texts if "\n" in text] == [
        "Invited", "Opened", "Complete", "Attentive", "Analysed",
    ]  # fmt: skip
    assert "Invited\nn = 700" in texts
    assert "400 lost: did not open it" in texts
    own = coco.Responses.from_frame(made.frame.drop(columns="provenance", errors="ignore"), made.survey)
    shown = [text.get_text() for text in plots.sample_flow(coco.sample_flow(own, invited=303)).texts]
    assert "Invited\nn = withheld" in shown
    assert not [text for text in shown if "lost" in text]
    assert "Invited\nnot known" in [text.get_text() for text in plots.sample_flow(coco.sample_flow(own)).texts]


def test_a_figure_of_a_model_that_may_not_be_interpreted_says_so():
    random = np.random.default_rng(5)
    bad = coco.cfa(pd.DataFrame(random.normal(size=(60, 6)), columns=list("uvwxyz")), "F =~ u + v + w\nG =~ x + y + z")
    assert not bad.admissible
    assert any("Not to be interpreted: Inadmissible" in text for text in texts(coco.plots.path(bad)))
    good = pd.DataFrame(random.normal(size=(300, 1)) + random.normal(size=(300, 4)), columns=list("abcd"))
    fit = coco.cfa(good, "F =~ a + b + c + d")
    assert fit.admissible
    assert not any("Not to be interpreted" in text for text in texts(coco.plots.path(fit)))
