"""Settings for every test: no display, no colour, one thread for the linear algebra."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NO_COLOR", "1")
