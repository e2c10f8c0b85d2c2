# `make demo` and `make test` set everything up themselves, from a bare clone in any folder.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# The tests' matrices are small: threads would only wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1
# Tests that start a Ray follow one another in one process (the group `ray`), the others fill the other.
TWO_PROCESSES := --numprocesses 2 --dist loadgroup

.PHONY: demo test test-long benchmark check setup clean

demo: $(INSTALLED)
	$(BIN)/offmanifold demo

test: $(INSTALLED)
	$(ONE_THREAD) $(BIN)/pytest -m "not slow or ci" $(TWO_PROCESSES)

test-long: $(INSTALLED)
	$(ONE_THREAD) $(BIN)/pytest

benchmark: $(INSTALLED)
	$(ONE_THREAD) $(BIN)/pytest tests/benchmarks/bench_*.py --jaxtyping-packages= -s

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
