# Two commands are all the set-up there is: `make demo` and `make test`.
# The virtual environment is made once and again when the pinned versions change.

PYTHON ?= python3
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := .venv/.ready
OLDEST := .venv-oldest
# Two processes of one thread each: the tests are many small ones.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

.PHONY: demo check test soak bench docs lab lessons pages style types lint dist release-check oldest clean

demo: $(READY)
	$(BIN)/lowerbound compare digits

style: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/pyright

lint: style types

check: style
	$(PYTEST) -m "not slow and not soak"

test: types check
	$(PYTEST) -m "slow and not soak"

soak: $(READY)
	$(PYTEST) -m soak

lab: $(READY)
	$(BIN)/python hatch_build.py

lessons: $(READY)
	$(BIN)/lowerbound course build course --out src/lowerbound/course/notebooks

pages: lab
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.reference_pages

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

bench: $(READY)
	$(BIN)/python -m benchmarks.quality

# What is given away: dist/*.tar.gz, and the wheel that is built from it.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build

# Builds both, installs the wheel where there is nothing else, and runs the fast tests against it from another folder.
release-check: $(READY)
	$(BIN)/python tests/release_check.py

# The fast tests with the oldest versions that pyproject.toml allows.
oldest:
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/$(notdir $(BIN))/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(OLDEST)/$(notdir $(BIN))/python -m pip install --quiet --constraint constraints-oldest.txt --editable . --group test
	OMP_NUM_THREADS=1 $(OLDEST)/$(notdir $(BIN))/python -m pytest -q -n 2 -m "not slow and not soak" $(OLDEST_TESTS)

$(READY): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "lowerbound needs Python 3.11 or newer; give one as make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $(READY)

clean:
	rm -rf .venv $(OLDEST) dist .pytest_cache .ruff_cache .hypothesis
