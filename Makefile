PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint docs address clean

demo: $(INSTALLED)  ## draw a street, learn it, recognize it; writes demo/report.html
	rm -rf demo
	$(BIN)/vpr demo -o demo

test: $(INSTALLED) lint  ## lint, types, tests
	@echo "tests: 15 to 40 minutes on 2 cores with the real data, less without"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile  # with more threads the two processes wait for each other

lint: $(INSTALLED)  ## style, the direction of imports, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

docs: $(VENV)/.docs  ## build the site into site/; every warning is an error
	$(BIN)/zensical build --strict --clean

address:  ## of the maintainer and of the repository: make address EMAIL=you@example.org URL=https://github.com/you/vpr_aesvc
	@test -n "$(EMAIL)" -a -n "$(URL)" || { echo "usage: make address EMAIL=you@example.org URL=https://github.com/you/vpr_aesvc"; exit 1; }
	sed -i -E -e 's|(maintainer email=")[^"]*|\1$(EMAIL)|' \
		-e 's|(<url type="(website\|repository)">)[^<]*|\1$(URL)|' -e 's|(<url type="bugtracker">)[^<]*|\1$(URL)/issues|' \
		package.xml ros2_ws/src/vpr_aesvc_msgs/package.xml

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12)) " || \
		{ echo "vpr_aesvc needs Python 3.10 to 3.12; say which with make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,bench,fleet,view,dev]"
	touch $@

$(VENV)/.docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) demo site build dist *.egg-info
