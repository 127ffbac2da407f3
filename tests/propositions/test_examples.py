"""The examples in the docstrings run and say what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import cocoanalysis.propositions

MODULES = sorted(path.stem for path in Path(cocoanalysis.propositions.__file__).parent.glob("[a-z]*.py"))


SHOWN = {"plan", "verdicts", "regression", "mediation", "moderation", "dominance", "necessity", "checks", "bias"}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(import_module(f"cocoanalysis.propositions.{name}"))
    assert found.attempted or name not in SHOWN  # what users call has an example
    assert not found.failed
