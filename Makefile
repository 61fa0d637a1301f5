# `make demo` and `make test` are all that a newcomer needs; both set up what they use.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
FOLDER ?= .demo
KILLS ?= 200
STOPS ?= 50
WORKERS ?= 3
# Those that start an Airflow come first and one after the other, which tests/conftest.py groups; others file by file.
TESTS = $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
APT = DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium

.PHONY: help setup browser demo test soak bench check coverage docs dist screenshot reference lock clean

help:  ## show these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready  ## make .venv with the pinned versions; does nothing when nothing changed

$(VENV)/.ready: requirements.txt requirements-installer.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-installer.txt
	@echo "installing the pinned versions into $(VENV)"
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes -r requirements.txt
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## a mock API through real Airflow into real PostgreSQL; KEEP=1 leaves it running
	@$(PY) -m airflow_datahub.demo --folder $(FOLDER)

# The tests bring their other servers with them; a browser that suits the machine comes from its distribution.
browser:
	@command -v chromium > /dev/null || echo "installing Chromium"
	@command -v chromium > /dev/null || $(APT) > /dev/null || { apt-get update > /dev/null && $(APT) > /dev/null; } \
		|| { echo "Chromium is missing: install your distribution's package chromium"; exit 1; }

test: setup check browser  ## all tests, against real servers that they start themselves; WORKERS=1 for one after the other
	@$(TESTS)

check: setup  ## style, types and the direction of imports
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/lint-imports --no-cache > /dev/null || $(VENV)/bin/lint-imports --no-cache

soak: setup  ## kills, stops and faults with their full counts, until one fails; KILLS=20 STOPS=5 for less
	@DATAHUB_KILLS=$(KILLS) DATAHUB_STOPS=$(STOPS) $(PY) -m tests.soak tests/kill tests/stop

bench: setup  ## our speed against a reference written by hand, interleaved, and memory; PEERS=1 adds dlt and sling
	@$(PY) -m bench $(if $(PEERS),--peers) $(BENCH)

coverage: setup browser  ## the lines that the tests run, also in the processes that they start; at least 90 % of all
	@$(TESTS) --cov --cov-report=term:skip-covered --cov-fail-under=90

docs: setup  ## the site of docs/, in .site/; a warning or a broken link is an error
	@$(VENV)/bin/sphinx-build -q -W --keep-going -b html docs .site
	@echo "written: .site/index.html"

dist: setup  ## wheel and sdist in dist/, checked; the wheel is installed in a fresh environment and used there
	@$(PY) -m tests.distribution dist

screenshot: setup browser  ## the picture of the DAG in Airflow's UI for the README
	@$(PY) docs/screenshot.py

reference: setup  ## write what is generated: the reference page and the JSON Schema
	@$(PY) docs/reference.py
	@$(VENV)/bin/airflow-datahub schema --output pipeline.schema.json

lock: setup  ## pin the newest versions that fit
	@$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --extra dev pyproject.toml -o requirements.txt --custom-compile-command "make lock"
	@echo "uv" | $(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes - -o requirements-installer.txt --custom-compile-command "make lock"

clean:  ## remove what demo, tests and tools left
	rm -rf .demo .bench .site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* dist
