"""The engine keeps BLAS to one thread while it works, and leaves the caller's setting as it was."""

import numpy as np
import pytest
from scipy import linalg
from threadpoolctl import threadpool_info, threadpool_limits

import cocoanalysis as coco
from cocoanalysis.threads import in_one_thread

HEAVY = ("cfa", "sem", "invariance", "compare", "efa", "parallel_analysis", "retention", "polychoric", "omega", "judge",
         "multiverse", "latent", "mediate", "regress")  # fmt: skip


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_one_thread_within_and_the_callers_number_afterwards():
    linalg.cholesky(np.eye(2))  # both libraries are loaded
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        assert in_one_thread(threads)() == {1}
        with pytest.raises(ZeroDivisionError):
            in_one_thread(lambda: 1 / 0)()
        assert threads() == before


@pytest.mark.parametrize("name", HEAVY)
def test_the_heavy_functions_do_so(name):
    assert hasattr(getattr(coco, name), "__wrapped__")
