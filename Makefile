# Every command of the project; `make help` lists them. Works in a folder with a space in its path.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
# matrices here are small: more threads only wait for each other
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help install report test check lab notebooks power bench lock clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

install: $(INSTALLED)  ## the environment in .venv, exactly as locked (again only when the lock changes)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "cocoanalysis needs Python 3.11, 3.12 or 3.13; say which with: make PYTHON=python3.11" >&2; exit 2; }
	@echo "Installing into $(VENV) (once; about two minutes) …"
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --clear --seed --python "$(PYTHON)" $(VENV) \
	  && uv pip install --quiet --python $(PY) --require-hashes -r requirements.lock \
	  && uv pip install --quiet --python $(PY) --no-deps --no-build-isolation -e . ; \
	else \
	  $(PYTHON) -m venv --clear $(VENV) \
	  && $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock \
	  && $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $(INSTALLED)

report: $(INSTALLED)  ## the main job on both bundled surveys → output/site/index.html
	@$(PY) -m cocoanalysis report -o output/site

test: $(INSTALLED) check  ## everything that CI runs: checks, tests, notebooks
	@$(PY) -m pytest tests notebooks --nbval --nbval-sanitize-with tests/nbval.cfg --nbval-cell-timeout 120

check: $(INSTALLED)  ## style, types, and the bundled surveys
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m cocoanalysis check surveys/cocreation
	@$(PY) -m cocoanalysis check surveys/unit-climate

lab: $(INSTALLED)  ## JupyterLab on the notebooks
	@$(PY) -m jupyterlab notebooks

notebooks: $(INSTALLED)  ## execute every notebook, write its outputs, and build the site
	@$(PY) -m cocoanalysis reproduce -o output/site

power: $(INSTALLED)  ## how often the verdict rule is right and wrong in every world (about a quarter of an hour on two cores)
	@$(PY) -m cocoanalysis power cocreation --every-world --workers 2 -o surveys/cocreation/power

bench: $(INSTALLED)  ## speed, side by side with R when R is installed
	@$(PY) bench/run.py
	@$(PY) bench/power.py

lock: $(INSTALLED)  ## resolve requirements.lock anew (needs uv)
	@uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-header --python-version 3.11 \
	  --upgrade --quiet -o requirements.lock

clean:  ## remove the environment and everything that was made
	rm -rf $(VENV) output build dist .pytest_cache .mypy_cache .ruff_cache
