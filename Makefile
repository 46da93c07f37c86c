# Six verbs and a demonstration. Everything runs inside .venv, made on first use.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Those that are left out measure a corpus or runs that the user names: see their first lines.
BENCHES := $(filter-out $(addprefix bench/,dev_conditions.py reconstruct.py seeds.py segment_rules.py segments.py speech.py stream.py), $(wildcard bench/*.py))

.PHONY: demo test coverage cluster-test export-test page-test check fix reference bench docs clean

demo: .venv/installed          ## score the example clips with the detector inside the package
	$(BIN)/unheard score examples --timeline demo-output
	$(BIN)/unheard score examples --json

test: .venv/developer          ## run every default test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

coverage: .venv/developer      ## run every default test, slower, and print coverage by package
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --timeout=600 --cov --cov-report=json
	$(BIN)/python tests/coverage_by_package.py build/coverage.json

cluster-test: .venv/developer  ## score an archive on two nodes of a Ray cluster; one is killed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:randomly -m cluster tests/scoring/test_cluster_ray.py

export-test: .venv/developer   ## trace every detector as a graph and compare it with torch
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m export tests/detectors/test_export.py

page-test: .venv/developer     ## use the page in Chromium, which must be installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser tests/service/page

check: .venv/developer         ## format, lint, docstrings, strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m mypy

fix: .venv/developer           ## format, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: .venv/reference     ## record the numbers of independent implementations again
	.venv/reference/bin/python tests/metrics/make_reference.py
	.venv/reference/bin/python tests/detectors/layers/make_reference.py

bench: .venv/developer         ## measure speed and memory, hours in all; prints Markdown
	set -e; for script in $(BENCHES); do echo "\n# $$script\n"; $(BIN)/python $$script; done

docs: .venv/developer          ## write the generated pages again
	$(BIN)/python docs/generate.py

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e .
	touch $@

.venv/developer: .venv/installed
	$(INSTALL) -e '.[dev,corpus,export,serve,ray]'
	touch $@

.venv/reference: .venv/installed
	$(PYTHON) -m venv .venv/reference
	.venv/reference/bin/python -m pip install --quiet --disable-pip-version-check lir==1.3.1
	touch $@

clean:
	rm -rf .venv demo-output
