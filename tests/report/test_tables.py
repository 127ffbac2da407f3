"""Tables show the result's numbers, in APA's way of writing, with the notes that belong under them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lxml import html

import cocoanalysis as coco
from cocoanalysis.errors import ModelError
from cocoanalysis.report import tables
from cocoanalysis.report.origin import recall

SYNTHETIC = "Synthetic data"


def cells(table):
    """Body rows of the HTML as lists of text."""
    root = html.fromstring(table.as_raw_html())
    return [[cell.text_content().strip() for cell in row] for row in root.xpath("//tbody/tr")]


def headings(table):
    return [cell.text_content().strip() for cell in html.fromstring(table.as_raw_html()).xpath("//th[@scope='col']")]


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (0.0004, "p", "<\u00a0.001"),
        (0.03649, "p", ".036"),
        (1.0, "p", "1.000"),
        (-0.004, "bounded", ".00"),
        (-0.456, "bounded", "−.46"),
        (0.999, "bounded", "1.00"),
        (-1.234, "number", "−1.23"),
        (10.04, "number", "10.04"),
        (10.04, "bounded", "10.04"),
        (38.0, "df", "38"),
        (38.21, "df", "38.2"),
        (300, "count", "300"),
        (np.nan, "number", ""),
        (pd.NA, "count", ""),
        (None, "text", ""),
        (True, "bool", "yes"),
        (0.256, "percent", "26 %"),
    ],
)
def test_numbers_are_written_as_apa_asks(value, kind, shown):
    assert tables.written(value, kind) == shown


def test_verdicts_show_expectation_estimate_interval_and_reason(verdicts):
    table = tables.verdicts(verdicts)
    family, first, last = cells(table)[0], cells(table)[1], cells(table)[-1]
    assert family == ["confirmatory"]
    assert first[:5] == ["H1", "Mobilising", "outcome", "+", "supported"]
    assert first[5:7] == ["0.31", "[0.21,\u00a00.41]"]
    assert first[6] == "[0.21,\u00a00.41]"
    assert "substantial" in first
    assert last[5] == ""
    assert "not testable" in last
    assert SYNTHETIC in table.as_raw_html()


def test_loadings_are_sorted_suppressed_and_keep_their_numbers_in_the_origin(explored):
    table = tables.loadings(explored, suppress=0.2)
    body = cells(table)
    assert [row[0].split()[0] for row in body] == ["mob1", "mob2", "mob3", "soft2", "soft1", "soft3"]
    assert body[0][1:3] == [".71", ""]
    assert recall(table).frame.loc[0, "F2"] == 0.05  # what is suppressed in the display is in the data
    assert "below .20" in table.as_raw_html()


def test_reliability_shows_intervals_and_drops_a_column_without_values(reliabilities):
    table = tables.reliability(reliabilities)
    assert "ω hierarchical" not in headings(table)
    assert headings(table).count("95 % CI") == 2
    assert cells(table)[0][:5] == ["Mobilising", "3", "300", ".71", "[.65,\u00a0.76]"]


def test_fit_names_the_fault_of_a_model_that_may_not_be_used(fits):
    body = cells(tables.fit(fits))
    assert body[1][0] == "One factor"
    assert "Inadmissible: the variance of mob1 is negative" in body[1][-1]
    assert "" in body[1]  # no CFI for it


def test_fit_prefers_scaled_measures_and_says_so(fits):
    model = fits["Two factors"]
    model._glance["chi2_scaled"] = 15.5
    table = tables.fit(model)
    assert cells(table)[0][2] == "15.50"
    assert "scaled" in table.as_raw_html()


def test_an_interval_stands_only_with_the_rmsea_it_belongs_to(fits):
    model = fits["Two factors"]
    model._glance[["chi2_scaled", "rmsea_robust"]] = [15.5, 0.033]
    table = tables.fit(model)
    row = dict(zip(headings(table), cells(table)[0]))
    assert row["RMSEA"] == ".033"
    assert "90 % CI" not in row
    assert row["Unscaled, 90 % CI"] == ".045 [.020,\u00a0.070]"


def test_fit_refuses_names_that_do_not_fit_and_nothing_at_all(fits):
    with pytest.raises(ModelError) as error:
        tables.fit(*fits.values(), names=["only one"])
    assert error.value.code == "NamesDoNotFit"
    with pytest.raises(ModelError) as error:
        tables.fit()
    assert error.value.code == "NothingToShow"


def test_invariance_has_one_row_a_step(ladder):
    body = cells(tables.invariance(ladder))
    assert [row[0] for row in body] == ["configural", "metric", "scalar"]
    assert "−.019" in body[2]
    assert "<\u00a0.001" in body[2]


def test_regressions_side_by_side_and_alone(regression):
    alone, beside = tables.regressions(regression), tables.regressions({"A": regression, "B": regression})
    assert cells(alone)[1][:3] == ["mobilising", "0.312", "0.051"]
    assert cells(beside)[1] == ["mobilising", "0.31 [0.21,\u00a00.41]", "0.31 [0.21,\u00a00.41]"]
    assert cells(beside)[-1] == ["n", "300", "300"]


def test_flow_and_missing_show_counts(responses):
    assert cells(tables.flow(responses))[1][:3] == ["exclude", "not finished", "24"]
    body = cells(tables.missing(responses))
    expected = responses.missing["mob1"].notna().mean()
    assert body[0][-1] == f"{100 * expected:.0f} %"


def test_correlations_show_the_lower_triangle(responses):
    matrix = responses.items().corr()
    body = cells(tables.correlations(matrix))
    assert body[0][1:] == [""] * 5
    assert body[1][1] == f"{matrix.iloc[1, 0]:.2f}".replace("0.", ".")


@pytest.mark.parametrize("name", ["verdicts", "invariance"])
def test_two_runs_write_the_same_html(name, verdicts, ladder):
    result = {"verdicts": verdicts, "invariance": ladder}[name]
    show = getattr(tables, name)
    assert show(result).as_raw_html() == show(result).as_raw_html()


def test_the_origin_survives_the_verbs_of_great_tables(verdicts):
    table = tables.verdicts(verdicts).tab_header("Another title").cols_hide("reason")
    assert recall(table).provenance == "synthetic"


def test_the_text_of_a_table_is_one_line_without_an_address(verdicts):
    table = tables.verdicts(verdicts).tab_header("Another title")
    assert repr(table) == "<Verdicts: a table of 6 rows>"


HOSTILE = "<script>alert(1)</script> {{x}} **b** \u202egnp\u202c \\input{/etc} $x^2$ 100 % a_b & c ~ ^ #"


def test_case_78_hostile_labels_are_text_in_html(verdicts):
    verdicts._tidy.loc[0, "reason"] = HOSTILE
    verdicts.title = HOSTILE
    shown = tables.estimates(verdicts).as_raw_html()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "\u202e" not in shown
    assert "<strong>" not in shown.split("<tbody")[1]


def test_estimates_say_scales_in_the_surveys_words_and_keep_the_columns_asked_for():
    folder = coco.bundled("unit-climate")
    responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    halves = coco.split_half(responses, ["leadership", "hostility"])
    table = tables.estimates(halves, columns=["scale", "minimum"])
    assert headings(table) == ["Scale", "Minimum"]
    assert [row[0] for row in cells(table)] == ["Leadership climate", "Hostility"]


def test_agreement_shows_both_indices_scale_by_scale_with_the_null_distribution():
    folder = coco.bundled("unit-climate")
    responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    names = ["leadership", "hostility"]
    within = {name: coco.rwg(responses, name, "company") for name in names}
    apart = {name: coco.average_deviation(responses, name, "company") for name in names}
    table = tables.agreement(within, apart)
    assert {"r_wg(j), mean", "AD, highest"} <= set(headings(table))
    assert cells(table)[0][:4] == ["Leadership climate", "2042", "49", ".87"]  # mean r_wg(j) .868, R's multilevel
    assert "r_wg(j) against a uniform null distribution" in table.as_raw_html()
    assert headings(tables.agreement(apart))[1:] == ["n", "Groups", "AD, mean", "AD, median", "AD, highest"]


def test_modifications_say_items_and_constructs_in_words():
    folder = coco.bundled("unit-climate")
    responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    first = cells(tables.modifications(coco.cfa(responses, estimator="ml")))[0]
    assert first[:3] == ["lead8 NCOs care about our welfare.", "~~", "lead10 NCOs want to know what I think."]


def test_retention_shows_every_criterion_and_a_parallel_analysis_its_eigenvalues():
    folder = coco.bundled("unit-climate")
    responses = coco.read_responses(folder / "responses.csv", coco.read_survey(folder))
    found = coco.retention(responses, "hostility", seed=1)
    assert headings(tables.retention(found)) == ["Criterion", "Suggests", "Source"]
    assert len(cells(tables.retention(found.parallel))) == 5


@pytest.fixture(scope="module")
def grouped():
    random = np.random.default_rng(2)
    data = pd.DataFrame(random.normal(size=(240, 1)) + random.normal(size=(240, 4)), columns=list("abcd"))
    return coco.cfa(data.assign(site=np.repeat(["north", "south"], 120)), "f =~ a + b + c + d", group="site")


def test_tables_of_several_groups_say_which_group_each_row_is_of(grouped):
    residual = tables.residuals(grouped)
    assert "Group" in headings(residual)
    wanted = grouped.residuals("cor")
    for group, one, other, shown in cells(residual):
        assert float(shown.replace("−", "-")) == pytest.approx(wanted.loc[(group, one), other], abs=0.0051)
    assert len(cells(residual)) == 10
    assert "Group" in headings(tables.modifications(grouped))
    assert "Group" in headings(tables.parameters(grouped))


def test_tables_of_two_levels_say_which_level_each_row_is_of():
    data = pd.read_csv(Path(__file__).parents[1] / "reference" / "twolevel.csv")
    fit = coco.cfa(data, "level: 1\nfw =~ y1 + y2 + y3 + y4\nlevel: 2\nfb =~ y1 + y2 + y3 + y4", cluster="id")
    assert "Level" in headings(tables.parameters(fit))
    assert "Level" in headings(tables.modifications(fit))
    assert {row[0] for row in cells(tables.residuals(fit))} <= {"within", "between"}
    assert coco.plots.path(fit).get_title(loc="left").endswith(": level 1")
