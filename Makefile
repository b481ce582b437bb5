# Everything here needs make and Python 3.11 or later, and a package index to install from. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Python compiles what it imports; compiling everything that is installed would take longer than all else.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# Where that is forbidden, each of a hundred processes would compile all libraries anew.
unexport PYTHONDONTWRITEBYTECODE

DOCLING := build/docling-venv
DOCLING_MODELS := build/docling-models

QUICKSTART := examples/quickstart
ROWS := out/quickstart.jsonl

.DEFAULT_GOAL := help
.PHONY: help run test test-long test-ray test-pools test-docling check docs bench browser kills clean

help:  ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /:/' | awk -F: '{ printf "make %-10s %s\n", $$1, $$2 }'

run: $(VENV)/.runtime  ## Run the quick start to the end, then say where its rows and the Prefect UI are
	$(BIN)/python -m sdg_prefect run $(QUICKSTART)/flow.yaml --input $(QUICKSTART)/seeds.jsonl --output $(ROWS)
	@echo "Rows:       $(ROWS)"
	@if [ -n "$$PREFECT_API_URL" ]; then echo "Prefect:    $$PREFECT_API_URL"; \
	else echo "Prefect UI: $$($(BIN)/python -m sdg_prefect server status)"; fi

# Real servers share the machine with what they are to test, in unit tests too: what fails is tried once more, and named at the end as RERUN.
test: $(VENV)/.dev  ## Run the tests
	$(BIN)/python -m pytest -m 'not long' --reruns 1 -raR -n $$(( 2 * $$($(BIN)/python -c 'import os; print(os.cpu_count())') ))

test-long: $(VENV)/.dev  ## Run the slow variants of tests: more kills and signals, S3, full disks, litellm
	$(BIN)/python -m pytest -m long -n 2

test-ray: $(VENV)/.ray  ## Run the tests on Ray, after installing it
	$(BIN)/python -m pytest tests/e2e/test_ray.py -n 0

test-pools: $(VENV)/.pools  ## Compare deployments with what Docker and Kubernetes take, after installing the workers of such pools
	$(BIN)/python -m pytest tests/e2e/test_pools.py -n 0

# docling reads what other libraries read elsewhere, and brings gigabytes: it gets an environment of its own.
test-docling: $(DOCLING)/.made $(DOCLING_MODELS)/.made  ## Read documents by docling, after installing it and teaching it a small model of pages
	$(DOCLING)/bin/python -m pytest tests/unit/store/test_docling.py -n 0

check: $(VENV)/.dev  ## Lint, check types and check the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs  ## Make the site of the documents, which opens from the disk and needs no network
	@# Its theme tells each time of its successor.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Site: build/site/index.html"

bench: $(VENV)/.dev  ## Run the benchmarks and print their ratios
	@for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

browser: $(VENV)/.dev  ## Look at the pages in a real browser; needs node, npm and Chromium
	npm install --no-fund --no-audit --silent --prefix .browser playwright-core@1 axe-core@4
	$(BIN)/python -m pytest -n 0 tests/browser

kills: $(VENV)/.dev  ## Kill runs at random moments and count what it costs: make kills KILLS=50 STORAGE=s3 SEED=1
	$(BIN)/python -m tests.e2e.killing --kills $(or $(KILLS),50) --storage $(or $(STORAGE),local) --seed $(or $(SEED),0)

clean:  ## Remove the environment and all caches; rows in out/ and the store in .sdg/ stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# The stamps stand for finished steps, so that a step that was interrupted is done again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one, such as: make run PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# The pip that comes with Python 3.11 takes three times as long to find versions that fit.
	$(PIP) --upgrade pip
	@touch $@

$(VENV)/.runtime: $(VENV)/.made pyproject.toml
	@echo "Installing the package into $(VENV); the first time this takes a few minutes."
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	@echo "Installing the package and its development tools into $(VENV); the first time this takes a few minutes."
	$(PIP) -e '.[dev]'
	@touch $(VENV)/.runtime $@

$(VENV)/.docs: $(VENV)/.made pyproject.toml
	$(PIP) -e '.[docs]'
	@touch $@

$(VENV)/.ray: $(VENV)/.dev
	$(PIP) -e '.[ray]'
	@touch $@

$(VENV)/.pools: $(VENV)/.dev
	$(PIP) -e '.[docker,kubernetes]' 'kubernetes-validate>=1.37'
	@touch $@

$(DOCLING)/.made: pyproject.toml
	$(PYTHON) -m venv $(DOCLING)
	$(DOCLING)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --upgrade pip
	$(DOCLING)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[docling]' pytest pytest-timeout pytest-xdist \
	  pytest-rerunfailures hypothesis
	@touch $@

# Threads that wait for one another are slower than one where the machine has something else to do.
$(DOCLING_MODELS)/.made: $(DOCLING)/.made tests/docling_models.py
	OMP_NUM_THREADS=1 $(DOCLING)/bin/python -m tests.docling_models $(DOCLING_MODELS)
	@touch $@
