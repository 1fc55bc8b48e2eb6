# Two commands for a fresh machine with Python 3.11, make and pip: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check static clean

demo: $(VENV)/.installed
	$(BIN)/gmner predict --input examples/posts.jsonl --output out/demo/entities.jsonl
	$(BIN)/gmner show out/demo/entities.jsonl --output out/demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

check: static
	$(BIN)/python -m pytest tests/unit -m "not slow"

static: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) out
