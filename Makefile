# make reproduce: every claim of the homework, checked; the report lands in reproduction/
# make test:      every check and every test
# make bench:     speed beside the peers (installs them), into bench.json and bench.svg
PYTHON ?= python3
BIN := .venv/bin

.PHONY: reproduce test lint bench clean

reproduce: .venv/ready
	$(BIN)/mathdnn reproduce --out reproduction

test: .venv/test-ready
	$(MAKE) lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: .venv/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: .venv/ready
	$(BIN)/pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/mathdnn bench --out bench.json --picture bench.svg

.venv/base: constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt --upgrade pip
	$(BIN)/python -m pip install -q -c constraints.txt scikit-build-core nanobind cmake ninja
	touch $@

# torch first and by its exact version: an unpinned torch may fetch gigabytes of another build.
.venv/ready: .venv/base pyproject.toml CMakeLists.txt $(wildcard src/native/*)
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e .
	touch $@

.venv/test-ready: .venv/ready
	$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e '.[test]'
	touch $@

clean:
	rm -rf .venv build reproduction
