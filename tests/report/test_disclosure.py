"""Nothing that the report writes shows a person: small cells are withheld, a planted person is nowhere found."""

import contextlib
import json
import re
import traceback
import warnings
import zipfile
import zlib

import matplotlib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import cocoanalysis as coco
from cocoanalysis.cli import app
from cocoanalysis.report import plots, site, tables
from cocoanalysis.report.origin import recall
from cocoanalysis.report.plots import merged_small
from cocoanalysis.responses.disclosure import told_safely
from cocoanalysis.result import Result
from tests.report.test_tables import cells
from tests.shared import ROOT

matplotlib.use("agg")
CANARY = "Canary-7391-Kiwi"


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """The real sample as if it were one's own, with one person who alone gives some answers."""
    path = tmp_path_factory.mktemp("private") / "answers.csv"
    frame = pd.read_csv(ROOT / "surveys" / "unit-climate" / "responses.csv", dtype=str)
    frame = frame.drop(columns=[name for name in frame.columns if name == "provenance"])
    survey = coco.read_survey("unit-climate")
    names = {column: name for name, column in survey.samples[0].code_map.items()}
    frame = frame.rename(columns=names)
    frame["lead1"] = frame["lead1"].replace("5", "4")
    frame.loc[7, "lead1"] = "5"
    frame.loc[7, "lead2"] = ""
    frame["soldier"] = [f"s{i}" for i in range(len(frame))]
    frame.loc[7, "soldier"] = CANARY
    frame.loc[7, "company"] = f"{CANARY}-company"
    frame["comment"] = ""
    frame.loc[7, "comment"] = f"{CANARY}@example.org"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def responses(private):
    found = coco.read_responses(private, coco.read_survey("unit-climate"))
    assert found.provenance == "yours"
    return found


def test_shares_of_few_people_are_withheld_in_the_table_and_behind_it(responses):
    table = tables.descriptives(coco.item_analysis(responses, "leadership"))
    row = next(row for row in cells(table) if row[0].startswith("lead1 "))
    assert "withheld" in row
    behind = recall(table).frame.set_index("item")
    assert np.isnan(behind.loc["lead1", "ceiling"])
    assert behind.loc["lead3", "ceiling"] > 0
    assert "withheld" in " ".join(recall(table).notes)
    assert behind["maximum"].isna().all()


def test_a_message_on_the_page_does_not_count_few_people():
    told = "There are 4 usable rows in group 'norway' for 32 variables; 361 rows were read."
    assert told_safely(told, "synthetic") == told
    safe = told_safely(told, "yours")
    assert safe == "There are fewer than 10 usable rows in group 'norway' for 32 variables; 361 rows were read."


def test_missing_reasons_of_few_people_are_withheld(responses):
    table = tables.missing(responses)
    row = next(row for row in cells(table) if row[0].startswith("lead2 "))
    assert "withheld" in row
    assert plots.missing(responses).patches[0].get_width() == 0


def test_answers_of_few_people_are_joined_with_the_next_category(responses):
    ax = plots.likert(responses, ["lead1", "lead3"])
    widths = [bar.get_width() * responses.frame["lead1"].notna().sum() for bar in ax.patches if bar.get_width() > 0]
    assert min(widths) >= 9.5
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([3, 20, 30, 20, 12], [0, 23, 30, 20, 12]),
        ([3, 4, 30, 20, 1], [0, 0, 37, 21, 0]),
        ([2, 20, 4, 30, 0], [0, 22, 0, 34, 0]),
        ([1, 1, 2, 1, 0], [0, 0, 0, 0, 0]),
        ([50, 0, 0, 50], [50, 0, 0, 50]),
    ],
)
def test_joined_categories_keep_all_people_and_show_no_few(counts, shown):
    found = merged_small(pd.Series(counts))
    assert found.tolist() == shown
    assert ((found == 0) | (found >= 10)).all()


def test_a_planted_person_is_in_no_file_of_the_report(private, tmp_path):
    index = site.write_site(tmp_path / "site", ["unit-climate"], responses=private)
    marks = [CANARY.encode(), b"example.org", CANARY.lower().encode()]
    written = [path for path in index.parent.rglob("*") if path.is_file()]
    assert len(written) > 20
    for path in written:
        content = path.read_bytes()
        assert not [mark for mark in marks if mark in content], path.name
    record = json.loads((index.parent / site.MANIFEST).read_text("utf-8"))
    assert record["surveys"]["unit-climate"]["answers"] == "answers.csv"


# what is written together -------------------------------------------------------------------------------------


def without(responses, *rows):
    """The responses without some people: another table of the same must not tell about them."""
    keep = np.ones(len(responses), dtype=bool)
    keep[list(rows)] = False
    return responses.kept(keep)


def table_of(kind, responses):
    if kind == "regression":
        return tables.regressions(coco.regress("hostility ~ leadership", responses))
    if kind == "items":
        return tables.descriptives(coco.item_analysis(responses, "significance"))
    return tables.reliability(coco.reliability(responses, ["significance"]))


@pytest.mark.parametrize("kind", ["regression", "items", "reliability"])
def test_a_second_table_that_differs_by_a_few_people_is_withheld(responses, tmp_path, kind):
    first = coco.export(table_of(kind, responses), tmp_path / "first.html")
    before = first.read_bytes()
    second = coco.export(table_of(kind, without(responses, 3, 7)), tmp_path / "second.html").read_text("utf-8")
    assert "withheld" in second
    assert "differs from first.html by fewer than 10 people" in second
    numbers = coco.export(table_of(kind, without(responses, 3, 7)), tmp_path / "second.csv").read_text("utf-8")
    assert {cell for line in numbers.splitlines()[1:] for cell in line.split(",")[3:] if cell} <= {"withheld", "False"}
    assert coco.export(table_of(kind, responses), tmp_path / "first.html").read_bytes() == before  # itself again
    far = coco.export(table_of(kind, without(responses, *range(40))), tmp_path / "far.html").read_text("utf-8")
    assert "differs from" not in far


def test_halves_of_a_split_are_no_near_copies(responses, tmp_path):
    for place, half in enumerate(without(responses, 7).split(seed=1)):
        shown = coco.export(table_of("reliability", half), tmp_path / f"{place}.html").read_text("utf-8")
        assert "withheld" not in shown


def test_a_second_figure_that_differs_by_a_few_people_is_empty(responses, tmp_path):
    coco.export(plots.likert(responses, ["lead1", "lead3"]), tmp_path / "one.svg")
    figure = plots.likert(without(responses, 7), ["lead1", "lead3"])
    record = coco.export(figure, tmp_path / "two.svg").with_name("two.svg.provenance.json").read_text("utf-8")
    assert "counted" not in json.loads(record)
    assert (tmp_path / "two.svg").stat().st_size < (tmp_path / "one.svg").stat().st_size / 2
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    ("rows", "formula", "reason"),
    [
        (9, "hostility ~ leadership", "fewer than 10 people"),
        (14, "hostility ~ leadership + significance + lead1 + lead3 + lead4", "fewer than 10 residual degrees"),
    ],
)
def test_models_of_few_people_are_withheld_whole(responses, tmp_path, rows, formula, reason):
    fit = coco.regress(formula, responses.kept(np.arange(len(responses)) < rows))
    for name, table in {"one": tables.regressions(fit), "two": tables.regressions(fit, fit, names=["a", "b"])}.items():
        body = [cell for row in cells(table) for cell in row[1:]]
        assert set(body) - {""} == {"withheld"}, name
        assert reason in " ".join(recall(table).notes)
    assert coco.words.regression(fit, "leadership").startswith("Withheld: fewer than 10")


def test_a_synthetic_part_does_not_free_a_private_one(responses, tmp_path):
    fit = coco.regress("hostility ~ leadership", responses.kept(np.arange(len(responses)) < 9))
    made = coco.regress("outcome ~ practice", coco.simulate("surveys/cocreation/world.yaml", n=60, seed=1), vcov="HC3")
    table = tables.regressions(made, fit, names=["made", "mine"])
    assert all("[" not in row[2] for row in cells(table))
    assert "withheld" in coco.export(table, tmp_path / "t.csv").read_text("utf-8")


def test_categories_of_few_people_are_withheld_in_a_regression(responses, tmp_path):
    fit = coco.regress("hostility ~ leadership + company", responses)
    for shown in (repr(fit), tables.regressions(fit).as_raw_html(), tables.regressions(fit, fit).as_raw_html()):
        assert CANARY not in shown
    assert "withheld" in repr(fit)


def test_groups_of_few_people_dominated_ones_and_their_complement_are_withheld(tmp_path):
    made = coco.simulate("surveys/cocreation/world.yaml", n=400, seed=1)
    frame = made.frame.drop(columns="provenance", errors="ignore")
    frame["sector"] = ["public"] * 200 + ["business"] * 150 + ["civil"] * 44 + ["other"] * 6
    frame.loc[frame["sector"] == "civil", "collaboration"] = "one collaboration"
    own = coco.Responses.from_frame(frame, made.survey)
    means = own.scores(["outcome"]).groupby(frame["sector"]).mean().reset_index()
    shown = {row[0]: row[1] for row in cells(tables.framed(means, source=own))}
    assert [shown[name] == "withheld" for name in ("public", "business", "civil", "other")] == [
        False,
        False,
        True,
        True,
    ]
    free = coco.Responses.from_frame(frame, made.survey, provenance="synthetic")
    assert "withheld" not in tables.framed(means, source=free).as_raw_html()


def test_the_ledger_tells_of_no_few_people(responses):
    left = responses.exclude("lead1 == 5").exclude("lead2 == 1")
    assert "lead1 == 5; lead2 == 1" in coco.words.flow(left)
    one = responses.exclude("lead1 == 5")
    assert coco.words.flow(one) == f"{len(one)} rows were analysed: fewer than 10 left out (lead1 == 5)."
    shown = next(row for row in cells(tables.flow(one)) if "lead1 == 5" in row[1])
    assert shown[2] == "withheld"
    assert str(len(responses)) not in {cell for row in cells(tables.flow(one)) for cell in row[4:]}
    named = responses.exclude(f"soldier == '{CANARY}'")
    assert CANARY not in repr(named) + tables.flow(named).as_raw_html() + coco.words.flow(named)
    assert len(named) == len(responses) - 1


def test_thresholds_can_be_changed(responses):
    few = responses.kept(np.arange(len(responses)) < 15)
    table = lambda: tables.reliability(coco.reliability(few, ["significance"])).as_raw_html()  # noqa: E731  (made twice)
    assert "withheld" not in table()
    with coco.disclosure_rules(cell=20):
        assert "fewer than 20 people" in table()
    with pytest.raises(coco.CocoError) as caught, coco.disclosure_rules(cell=0):
        pass
    assert caught.value.code == "ImpossibleRule"


# what was not made by us ----------------------------------------------------------------------------------------


def frames(responses):
    scores, company = responses.scores(), responses.frame["company"]
    return {
        "rows": (responses.frame, "IndividualValues"),
        "first rows": (responses.frame.head(), "IndividualValues"),
        "scores": (scores, "IndividualValues"),
        "unmarked rows": (pd.DataFrame(scores.to_numpy(), columns=["a", "b", "c"]), "IndividualValues"),
        "flags": (responses.screen().screening.flags, "IndividualValues"),
        "uncounted groups": (scores.groupby(company).mean(), "UncountedGroups"),
        "correlations": (scores.corr(), None),
        "described": (scores.describe(), None),
        "counted groups": (scores.groupby(company).agg(n=("hostility", "size"), m=("hostility", "mean")), None),
        "cross-table": (pd.crosstab(company, responses.frame["lead3"]), None),
    }


@pytest.mark.parametrize(
    "kind",
    ["rows", "first rows", "scores", "unmarked rows", "flags", "uncounted groups", "correlations", "described",
     "counted groups", "cross-table"],
)  # fmt: skip
def test_plain_frames_are_looked_at(responses, tmp_path, kind):
    frame, code = frames(responses)[kind]
    if code is not None:
        with pytest.raises(coco.CocoError) as caught:
            coco.export(frame, tmp_path / "f.csv")
        assert caught.value.code == code
        assert coco.export(frame, tmp_path / "f.csv", provenance="synthetic").exists()
        return
    text = coco.export(frame, tmp_path / "f.csv").read_text("utf-8")
    assert CANARY not in text
    assert ("withheld" in text) == (kind != "correlations")


def test_rows_of_declared_data_pass(tmp_path):
    made = coco.simulate("surveys/cocreation/world.yaml", n=30, seed=1)
    assert coco.export(made.frame, tmp_path / "f.csv").exists()
    assert coco.export(made.scores(), tmp_path / "s.csv").exists()


def test_a_scatter_of_people_is_refused_unless_declared(responses, tmp_path):
    figure, ax = matplotlib.pyplot.subplots()
    ax.scatter(responses.scores()["leadership"], responses.scores()["hostility"])
    with pytest.raises(coco.CocoError) as caught:
        coco.export(figure, tmp_path / "s.png")
    assert caught.value.code == "IndividualValues"
    assert coco.export(figure, tmp_path / "s.png", provenance="public real").exists()
    matplotlib.pyplot.close("all")


# a planted person -----------------------------------------------------------------------------------------------


def said(call):
    """Everything that a call shows: its result in a terminal and a notebook, its warnings, its traceback."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = call()
            text = repr(found) + (found._repr_html_() if isinstance(found, Result) else "")
        except coco.CocoError as error:
            text = "".join(traceback.format_exception(error))
    return text + " ".join(str(one.message) for one in told)


CALLS = {
    "itself": lambda r: r,
    "screening": lambda r: r.screen().screening,
    "number": lambda r: coco.reliability(r.frame[["soldier", "lead1", "lead3"]]),
    "matrix": lambda r: coco.efa(r.frame, ["company", "lead1", "lead3"], factors=1),
    "rule": lambda r: r.exclude("company > 3"),
    "group": lambda r: coco.cfa(r, "significance", group="company"),
    "ladder": lambda r: coco.invariance(r, "significance", group="soldier", estimator="mlr"),
    "weights": lambda r: coco.cfa(r, "significance", weights="company"),
    "collinear": lambda r: coco.mediate(
        r, outcome="hostility", predictor="leadership", mediators=["significance"], controls=["company"]
    ),
    "influence": lambda r: coco.check_regression(coco.regress("hostility ~ leadership", r, cluster="company")),
    "agreement": lambda r: coco.rwg(r, ["tsig1", "tsig2", "tsig3"], "company"),
    "deviation": lambda r: coco.average_deviation(r, ["tsig1", "tsig2", "tsig3"], "company"),
    "icc": lambda r: coco.icc(r, ["leadership"], "company"),
    "interim": lambda r: coco.interim(r),
    "anonymity": lambda r: coco.anonymity(r, ["company"], sensitive=["lead1"]),
    "missing": lambda r: coco.missingness(r),
    "text column": lambda r: coco.Responses.from_frame(r.frame.assign(lead1=r.frame["soldier"]), r.survey),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_planted_person_is_in_no_display_and_no_traceback(responses, name):
    assert CANARY not in said(lambda: CALLS[name](responses))


def test_a_planted_person_is_in_no_file_that_is_exported(responses, tmp_path, private):
    made = {
        "items": coco.item_analysis(responses), "icc": coco.icc(responses, ["leadership"], "company"),
        "groups": tables.framed(coco.icc(responses, ["leadership"], "company").groups(), source=responses),
        "agreement": coco.rwg(responses, ["tsig1", "tsig2", "tsig3"], "company"),
        "checks": coco.check_regression(coco.regress("hostility ~ leadership", responses, cluster="company")),
        "terms": coco.regress("hostility ~ leadership + company", responses),
        "flow": tables.flow(responses.exclude(f"company == '{CANARY}-company'")),
    }  # fmt: skip
    for name, thing in made.items():
        for form in ("html", "csv", "tex", "docx"):
            coco.export(thing, tmp_path / f"{name}.{form}")
    drawn = {
        "likert": plots.likert(responses, "significance"), "missing": plots.missing(responses),
        "flow": plots.flow(responses.exclude(f"soldier == '{CANARY}'")),
    }  # fmt: skip
    for name, figure in drawn.items():
        for form in ("png", "svg", "pdf"):
            coco.export(figure, tmp_path / f"{name}-figure.{form}")
    matplotlib.pyplot.close("all")
    coco.write_dataset(responses, tmp_path / "shared", k=2)
    logs = []
    for command in (
        ["interim", private, "--survey", "unit-climate", "-o", tmp_path / "interim.csv"],
        ["export", "unit-climate", "--to", "dataset", "--responses", private, "-o", tmp_path / "dataset"],
        ["read", private, "--survey", "unit-climate", "-o", tmp_path.parent / "clean.csv"],
    ):
        done = CliRunner().invoke(app, [str(word) for word in command])
        assert done.exit_code == 0, done.stderr
        logs.append(done.stdout + done.stderr)
    assert CANARY not in " ".join(logs)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 60
    for path in written:
        assert not holds(path, [CANARY.encode(), b"example.org"]), path


def holds(path, marks):
    """Whether a file holds a mark, also inside what is compressed (docx, png text, pdf streams)."""
    content = path.read_bytes()
    if path.suffix == ".docx":
        with zipfile.ZipFile(path) as archive:
            content += b"".join(archive.read(name) for name in archive.namelist())
    if path.suffix == ".pdf":
        for part in re.findall(rb"stream\r?\n(.*?)endstream", content, re.S):
            with contextlib.suppress(zlib.error):
                content += zlib.decompress(part)
    return any(mark in content for mark in marks)


def test_a_planted_person_is_in_no_executed_notebook(private, tmp_path):
    """The cells of the notebook on real answers, run on the private file, with everything that they show."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    book = nbformat.read(ROOT / "notebooks" / "06-real-survey.ipynb", as_version=4)
    for cell in book.cells:
        cell.source = re.sub(r"(?<=read_responses\()[^,]+", repr(str(private)), cell.source)
    assert str(private) in "".join(cell.source for cell in book.cells)
    nbclient.NotebookClient(book, timeout=120, allow_errors=True, resources={"metadata": {"path": str(ROOT)}}).execute()
    path = tmp_path / "executed.ipynb"
    nbformat.write(book, path)
    shown = json.dumps([cell.get("outputs", []) for cell in book.cells])
    assert "leadership" in shown.lower()
    assert CANARY not in shown
    assert not holds(path, [f"{CANARY}-company".encode(), b"example.org"])


def test_a_planted_person_is_in_no_message(private, tmp_path):
    broken = tmp_path / "broken.csv"
    text = private.read_text("utf-8").replace(CANARY, f"{CANARY}", 1)
    lines = text.splitlines()
    lines[8] = lines[8].replace(",5,", f",{CANARY}-answer,", 1)
    broken.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["read", str(broken), "--survey", "unit-climate", "-o", str(tmp_path / "clean.csv")])
    assert CANARY not in done.stderr
    assert CANARY not in done.stdout
