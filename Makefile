# `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
LOCK := $(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: help test check format lock

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

# Written last: an interrupted installation is done again.
$(VENV)/installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@

test: $(VENV)/installed ## Run the tests (ARGS="-k name" for some)
	@$(PY) -m pytest $(ARGS)

check: $(VENV)/installed ## Lint, format, types and migrations
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy .
	@DJANGO_SETTINGS_MODULE=tests.settings $(PY) -W ignore manage.py makemigrations --check --dry-run

format: $(VENV)/installed ## Put the code into shape
	@$(PY) -m ruff check --fix --quiet .
	@$(PY) -m ruff format --quiet .

lock: $(VENV)/installed ## Renew the locked requirements from the .in files
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) requirements-dev.in -o requirements-dev.txt
