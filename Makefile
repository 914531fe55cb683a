# make demo: install into .venv and check the worked patient.  make test: install and test.
# With PYTHON=python3.13 both use that Python, in .venv-3.13.
PYTHON ?= python3
VENV := .venv$(if $(filter file,$(origin PYTHON)),,-$(shell $(PYTHON) -c "import sys; print('%d.%d' % sys.version_info[:2])"))
BIN := $(VENV)/bin
DEMO := check --age 5 --sex female --weight 18.2 --height 110 --scr "0.3 mg/dL" --regimen tisa_cel_ball

.PHONY: demo docs test-docs test test-browser test-export test-lowest attack lint unit bench bench-quick bench-compare sbom clean

demo: $(VENV)/.installed
	@$(BIN)/fludapk $(DEMO)
	@echo
	@echo "Where to go next:"
	@echo "  the page    $(BIN)/python -m pip install '.[web]' && $(BIN)/fludapk serve"
	@echo "  other doors $(BIN)/fludapk --help"
	@echo "  reading     README.md, make docs for the site, models/README.md (the format of a model)"
	@echo "  before use  $(BIN)/fludapk qualify -o record"

test: $(VENV)/.installed-test
	$(MAKE) lint unit

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.installed-test
	$(BIN)/python -m pytest -q
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -m interpreted

# Needs Chromium: `apt-get install chromium`, or its path in FLUDAPK_CHROMIUM.
test-browser: $(VENV)/.installed-browser
	$(BIN)/python -m pytest -q -m browser

# The site, in build/site: open index.html. Every command and notebook in it is run; a warning fails.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet docs build/site
	@echo "the site is in build/site/index.html"

# The same, and: every page is reached, nothing comes from a network, notebooks are short and can be opened.
test-docs: $(VENV)/.installed-docs $(VENV)/.installed-test
	$(BIN)/python -m pytest -q -m docs tests/test_docs.py

# Does pharmpy read what we write for NONMEM? Not in `make test`: it brings 114 packages, 0.9 GB.
test-export: $(VENV)/.installed-export
	$(BIN)/python -m pytest -q tests/published/test_engines.py -k pharmpy

# The tests with every dependency at its lower bound, in an environment of its own.
test-lowest: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python tools/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --constraint .venv-lowest/lowest.txt --editable ".[test]"
	.venv-lowest/bin/python -m pytest -q -W default::DeprecationWarning

# An hour: 20 000 changed requests for each door, and a hundred signals.
attack: $(VENV)/.installed-test
	$(BIN)/python benchmarks/attack.py

# Minutes: every way in full, the table, how long a person waits, and instructions.
bench: $(VENV)/.installed-bench
	$(BIN)/python -m pytest -q -o addopts= benchmarks --benchmark-json=bench.json
	$(BIN)/python benchmarks/ratios.py bench.json --check
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/batch.py
	$(BIN)/python benchmarks/instructions.py

# The same in short, in one or two minutes: do they run, and are the recorded ratios kept?
bench-quick: $(VENV)/.installed-bench
	$(BIN)/python -m pytest -q -o addopts= benchmarks --benchmark-json=bench-quick.json --benchmark-max-time=0.2 --benchmark-min-rounds=3
	$(BIN)/python benchmarks/ratios.py bench-quick.json --check
	$(BIN)/python benchmarks/cold_start.py --runs 3 --slack 2

# A bill of materials (CycloneDX) and a table of licences, of what is installed with the extras of users: in build/.
sbom: pyproject.toml
	$(PYTHON) -m venv build/installed
	$(PYTHON) -m venv build/tools
	build/installed/bin/python -m pip install --quiet --disable-pip-version-check ".[report,excel,parquet,web]"
	build/tools/bin/python -m pip install --quiet --disable-pip-version-check "cyclonedx-bom>=7" "pip-licenses>=5"
	build/tools/bin/cyclonedx-py environment build/installed/bin/python --pyproject pyproject.toml --output-reproducible -o build/sbom.json
	build/tools/bin/pip-licenses --python build/installed/bin/python --format markdown --with-urls --output-file build/licences.md

# make bench-compare OLD=before.json NEW=bench.json
bench-compare: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/ratios.py $(NEW) --against $(OLD)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml | $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]"
	@touch $@

$(VENV)/.installed-browser: pyproject.toml | $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[browser]"
	@touch $@

$(VENV)/.installed-export: pyproject.toml | $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[export]"
	@touch $@

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@ $(VENV)/.installed

clean:
	rm -rf .venv .venv-3.* .venv-lowest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -exec rm -rf {} +
