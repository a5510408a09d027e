# make run: set up and train on a drawn dataset; make test: set up and run the tests.
# make soak: the tests that kill, wait, browse and start servers; .ci/run does both.
# make soak-long: those of them that repeat, at full length.

PYTHON ?= $(firstword $(shell command -v python3.11 python3 python))
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
PATHSEP := ;
else
BIN := .venv/bin
PATHSEP := :
endif
DATASET ?= Synthetic-Cell

PYTEST := $(BIN)/python -m pytest --numprocesses 2 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder --durations 20

.PHONY: help install run test soak soak-long check

help:
	@echo "make run | test | soak | soak-long | check | install"

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,check]"
	$(BIN)/python -c "open('.venv/.installed', 'w').close()"

run: install
	GIT_PYTHON_REFRESH=quiet PATH="$(CURDIR)/$(BIN)$(PATHSEP)$$PATH" $(BIN)/mlflow run . --env-manager local -P dataset=$(DATASET)

test: install
	$(PYTEST) -m "not soak and not soak_long"

soak: install
	$(PYTEST) -m "soak and not soak_long"

soak-long: install
	$(PYTEST) -m soak_long

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
