# Two commands are all the set-up there is: `make demo` and `make test`.
# The virtual environment is made once and again when the pinned versions change.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Two processes of one thread each: the tests are many small ones.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

.PHONY: demo check test soak bench lab lessons pages clean

demo: $(READY)
	$(BIN)/lowerbound compare digits

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(PYTEST) -m "not slow and not soak"

test: check
	$(PYTEST) -m "slow and not soak"

soak: $(READY)
	$(PYTEST) -m soak

lab: $(READY)
	$(BIN)/python hatch_build.py

lessons: $(READY)
	$(BIN)/lowerbound course build course --out src/lowerbound/course/notebooks

pages: lab
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.reference_pages

bench: $(READY)
	$(BIN)/python -m benchmarks.quality

$(READY): constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "lowerbound needs Python 3.11 or newer; give one as make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $(READY)

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
