# make app: the app on the demo project. make check: before every commit. make test: what CI runs.
# Each of them makes .venv first.
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: app check test test-long lint format clean

app: $(STAMP)
	$(BIN)/red demo

check: lint
	$(BIN)/python -m pytest -n 2 tests/steps tests/store tests/test_house.py

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

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

# torch first and by its exact version: a bare name may bring gigabytes that no default needs.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=...") if sys.version_info < (3, 11) else None'
	test -x "$(BIN)/python" || $(PYTHON) -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools torch
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e ".[test]"
	touch "$(STAMP)"

clean:
	rm -rf "$(VENV)"
