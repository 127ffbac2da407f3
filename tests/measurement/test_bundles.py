"""Bundles for co-authors: R reproduces our numbers from the folder alone; the Mplus input states every parameter."""

import re
import shutil
import subprocess

import pytest

import cocoanalysis as coco
from tests.measurement.reference import table

HS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6"
ITEMS = [f"A{i}" for i in range(1, 6)]


def fits():
    hs, bfi, lq = table("lavaan_HolzingerSwineford1939"), table("bfi25_gender"), table("lq2002")
    clustered = hs.assign(c=hs.id % 45)
    return {
        "ml": coco.cfa(hs, HS),
        "groups": coco.cfa(hs, HS, group="school", group_equal=("loadings", "intercepts"), estimator="mlr"),
        "clusters": coco.cfa(clustered, HS, estimator="mlr", cluster="c"),
        "incomplete": coco.cfa(table("hs1939_miss"), HS),
        "defined": coco.sem(hs, "f =~ x1 + x2 + a*x3\nf ~ b*ageyr + sex\nd := a*b"),
        "ordered": coco.cfa(
            bfi, "A =~ A1 + A2 + A3 + A4 + A5", ordered=ITEMS, group="gender", group_equal="thresholds"
        ),
        "covariates": coco.sem(
            lq, "t =~ TSIG01 + TSIG02 + TSIG03\nt ~ HOSTILE", ordered=["TSIG01", "TSIG02", "TSIG03"]
        ),
    }


@pytest.fixture(scope="module")
def fitted():
    return fits()


NAMES = ["ml", "groups", "clusters", "incomplete", "defined", "ordered", "covariates"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R with lavaan is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_r_reproduces_the_fit_from_its_folder(fitted, name, tmp_path):
    folder = fitted[name].to_lavaan(tmp_path / name)
    ran = subprocess.run(["Rscript", "fit.R"], cwd=folder, capture_output=True, text=True, check=False)
    if "there is no package called" in ran.stderr:
        pytest.skip("lavaan is not installed in R")
    assert ran.returncode == 0, ran.stderr
    found = re.findall(r"largest difference of (?:an estimate|a standard error): (\S+)", ran.stdout)
    rows = re.search(r"rows compared: (\d+) of (\d+)", ran.stdout)
    assert rows is not None
    assert rows.group(1) == rows.group(2)
    assert all(float(value) < 1e-4 for value in found)


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
