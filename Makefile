PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint clean

demo: $(INSTALLED)  ## draw a street, learn it, recognise it; writes demo/report.html
	rm -rf demo
	$(BIN)/vpr demo -o demo

test: $(INSTALLED)  ## lint, types, tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

$(INSTALLED): pyproject.toml constraints.txt setup.py
	$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12)) " || \
		{ echo "vpr_aesvc needs Python 3.10 to 3.12; say which with make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,bench,dev]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info
