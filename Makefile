# `make demo` and `make test` set everything up themselves, from a bare clone in any folder.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# The tests' matrices are small: threads would only wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1
# Tests that start a Ray follow one another in one process (the group `ray`), as do those that share what
# their module makes once; the others fill the other.
TWO_PROCESSES := --numprocesses 2 --dist loadgroup
# Shapes and types of all calls are checked in core's fast tests alone: an inner loop takes up to ten times as long.
SHAPES := --jaxtyping-packages=offmanifold.core,beartype.beartype
# Many tests start commands and workers, and each would compile all modules again.
COMPILED_ONCE := PYTHONDONTWRITEBYTECODE=
PYTEST := $(ONE_THREAD) $(COMPILED_ONCE) $(BIN)/pytest

.PHONY: demo test test-long benchmark check setup clean

demo: $(INSTALLED)
	$(BIN)/offmanifold demo

test: $(INSTALLED)
	$(PYTEST) tests/core -m shapes $(TWO_PROCESSES) $(SHAPES)
	$(PYTEST) -m "(not slow or ci) and not shapes" $(TWO_PROCESSES)

test-long: $(INSTALLED)
	$(PYTEST) tests/core -m shapes $(SHAPES)
	$(PYTEST) -m "not shapes"

benchmark: $(INSTALLED)
	$(PYTEST) tests/benchmarks/bench_*.py -s

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(INSTALLED)

# The link lets mypy follow `offmanifold.…` from tests: the repository root is the package.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip setuptools
	$(BIN)/python -m pip install --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	mkdir -p .typing
	ln -sfn .. .typing/offmanifold
	touch $(INSTALLED)

clean:
	rm -rf .venv .typing build dist *.egg-info demo-run runs
