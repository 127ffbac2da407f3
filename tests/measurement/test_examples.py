"""The examples in the docstrings run and say what they print."""

import doctest
from importlib import import_module

import pytest

MODULES = ["retention", "exploratory", "items", "reliability", "ordinalreliability", "generalfactor"]
MODULES += ["validity", "composites", "aggregation", "moments", "invariance"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(import_module(f"cocoanalysis.measurement.{name}"))
    assert found.attempted
    assert not found.failed
