"""What R's programs say, read from tests/reference; the script beside each file wrote it."""

import itertools
import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parents[1] / "reference"


@cache
def values(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@cache
def table(name, **options):
    return pd.read_csv(FOLDER / f"{name}.csv", **options)


def matched(loadings, phi, wanted, wanted_phi):
    """Largest differences of loadings and factor correlations after the best common order and signs."""
    loadings, wanted = np.asarray(loadings, float), np.asarray(wanted, float)
    phi = np.asarray(phi, float)
    best = (np.inf, np.inf)
    for order in itertools.permutations(range(wanted.shape[1])):
        turned = loadings[:, order]
        signs = np.where((turned * wanted).sum(axis=0) < 0, -1, 1)
        off = np.abs(turned * signs - wanted).max()
        if off < best[0]:
            off_phi = np.abs(phi[np.ix_(order, order)] * np.outer(signs, signs) - np.asarray(wanted_phi)).max()
            best = (off, off_phi)
    return best
