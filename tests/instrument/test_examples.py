"""The examples in the docstrings are true."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["adapting", "comparing", "reading", "translating", "wording"])
def test_examples_in_docstrings(name):
    found = doctest.testmod(import_module(f"cocoanalysis.instrument.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
