"""Bundles for co-authors: R reproduces our numbers from the folder alone; the Mplus input states every parameter."""

import re
import shutil
import subprocess

import numpy as np
import pytest

import cocoanalysis as coco
from tests.measurement.reference import table

HS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6"
ITEMS = [f"A{i}" for i in range(1, 6)]
SIGNS = ["TSIG01", "TSIG02", "TSIG03"]


def fits():
    hs, bfi, lq = table("lavaan_HolzingerSwineford1939"), table("bfi25_gender"), table("lq2002")
    clustered = hs.assign(c=hs.id % 45, w=0.5 + hs.id % 7 / 6)
    late = table("hs1939_miss").assign(school=hs.school, w=clustered.w)
    people = bfi.assign(w=1 + np.arange(len(bfi)) % 5 / 4, c=np.arange(len(bfi)) // 10)
    agree = "A =~ A1 + A2 + A3 + A4 + A5"
    return {
        "ml": coco.cfa(hs, HS),
        "groups": coco.cfa(hs, HS, group="school", group_equal=("loadings", "intercepts"), estimator="mlr"),
        "clusters": coco.cfa(clustered, HS, estimator="mlr", cluster="c"),
        "incomplete": coco.cfa(table("hs1939_miss"), HS),
        "defined": coco.sem(hs, "f =~ x1 + x2 + a*x3\nf ~ b*ageyr + sex\nd := a*b"),
        "ordered": coco.cfa(bfi, agree, ordered=ITEMS, group="gender", group_equal="thresholds"),
        "weights": coco.cfa(clustered, HS, estimator="mlr", weights="w", group="school"),
        "incomplete_groups": coco.cfa(late, HS, estimator="mlr", group="school", group_equal="loadings"),
        "ordered_weights": coco.cfa(people, agree, ordered=ITEMS, weights="w", parameterization="theta"),
        "ordered_pairwise": coco.cfa(table("bfi10_missing"), agree, ordered=ITEMS),
        "ordered_clusters": coco.cfa(people, agree, ordered=ITEMS, cluster="c"),
        "mixed": coco.sem(lq, "l =~ LEAD03 + LEAD04 + LEAD09\nt =~ TSIG01 + TSIG02 + TSIG03\nt ~ l", ordered=SIGNS),
        "covariates": coco.sem(lq, "t =~ TSIG01 + TSIG02 + TSIG03\nt ~ HOSTILE", ordered=SIGNS),
    }


@pytest.fixture(scope="module")
def fitted():
    return fits()


NAMES = ["ml", "groups", "clusters", "incomplete", "defined", "ordered", "covariates", "weights", "incomplete_groups",
         "ordered_weights", "ordered_pairwise", "ordered_clusters", "mixed"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R with lavaan is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_r_reproduces_the_fit_from_its_folder(fitted, name, tmp_path):
    folder = fitted[name].to_lavaan(tmp_path / name)
    ran = subprocess.run(["Rscript", "fit.R"], cwd=folder, capture_output=True, text=True, check=False)
    if "there is no package called" in ran.stderr:
        pytest.skip("lavaan is not installed in R")
    assert ran.returncode == 0, ran.stderr
    found = dict(re.findall(r"largest difference of an? (estimate|standard error|fit measure): (\S+)", ran.stdout))
    if name == "ordered_clusters":  # lavaan 0.6-14 leaves the clusters out, as the script says
        assert "leaves clusters aside" in (folder / "fit.R").read_text()
        found = {"estimate": found["estimate"]}
    else:
        assert len(found) == 3
    rows = re.search(r"rows compared: (\d+) of (\d+)", ran.stdout)
    assert rows is not None
    assert rows.group(1) == rows.group(2)
    assert all(float(value) < 1e-4 for value in found.values())


@pytest.mark.parametrize("name", NAMES)
def test_mplus_input_states_every_free_parameter(fitted, name, tmp_path):
    fit = fitted[name]
    folder = fit.to_mplus(tmp_path)
    text = (folder / "fit.inp").read_text()
    models = text.split("MODEL:")[1].split("OUTPUT:")[0]
    stated = models.split("MODEL CONSTRAINT")[0].count("*")
    assert stated == sum(row.free >= 0 for row in fit.problem.table.rows)
    assert all(len(line) <= 90 for line in text.splitlines())
    rows = (folder / "data.dat").read_text().splitlines()
    assert len(rows) == fit.problem.total


def test_long_and_clashing_names_become_short_and_different():
    from cocoanalysis.measurement.bundles import mplus_names

    names = mplus_names(["satisfaction_1", "satisfaction_2", "x1", "X1", "1st", "é"])
    assert len({n.lower() for n in names.values()}) == 6
    assert all(len(n) <= 8 for n in names.values())
