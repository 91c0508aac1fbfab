# make setup: an environment in .venv    make test: all checks    make demo: the main job, once    make docs: the site
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo

.PHONY: setup test demo docs format clean

setup: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else "sarwater needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + "; name another: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --quiet --durations 10

demo: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh experiments/demo.sh "$(DEMO)"

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open build/site/index.html"

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .hypothesis
	if [ -f "$(DEMO)/data/.sarwater" ]; then rm -rf "$(DEMO)"; fi
