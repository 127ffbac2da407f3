"""Linear algebra in one thread while a function runs: many small matrices are slower with several.

A BLAS that wakes its threads for a matrix of thirty rows spends most of its time waking them: the multiverse of the
co-creation plan took 102 s with two threads and 20 s with one. The caller's own setting returns when the function does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


@functools.cache
def _controller() -> ThreadpoolController:
    """What controls the libraries that are loaded; asked for at the first call, when numpy and scipy are."""
    return ThreadpoolController()


def in_one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """The function with BLAS kept to one thread."""

    @functools.wraps(function)
    def calm(*args: P.args, **kwargs: P.kwargs) -> R:
        with _controller().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return calm
