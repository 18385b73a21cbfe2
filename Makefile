# make app: the app with the demo project. make check: before every commit. make test: what CI runs.
# Each target first creates .venv if it is missing.
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: app check coverage test test-long lint format hashes clean

app: $(STAMP)
	$(BIN)/red demo

check: lint
	$(BIN)/python -m pytest -n 2 tests/steps tests/store tests/test_house.py

# What all tests run of red_core, line by line.
coverage: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov=red_core --cov-report=term-missing:skip-covered

# Tests of the browser wait more than they compute: three processes keep two cores busy. The slow files come first.
test: lint
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-long: lint
	$(BIN)/python -m pytest -m "long or not long"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Install torch first, in the exact version of constraints.txt. Another version may add gigabytes of GPU libraries.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=...") if sys.version_info < (3, 11) else None'
	test -x "$(BIN)/python" || $(PYTHON) -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools torch
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e ".[test]"
	touch "$(STAMP)"

# The hash of every file that the container installs; needs the command uv. After a new torch, mend hashes-cpu.txt by hand.
hashes:
	uv pip compile pyproject.toml --extra app --extra model -c constraints.txt --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --output-file hashes.txt

clean:
	rm -rf "$(VENV)"
