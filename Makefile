# `make` alone lists what there is. Works with GNU make 3.81.
MAKEFLAGS += --no-print-directory
PY := .venv/bin/python
# The first Python that is new enough; else any, which then says why it won't do.
FOUND = $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && exit; done; command -v python3)
NONE = No Python was found. Install 3.11 or newer, or run: make run PYTHON=/path/to/python3.12
PYTHON ?= $(or $(FOUND),$(error $(NONE)))
BOOTSTRAP = @"$(PYTHON)" -I twitchsite/bootstrap.py requirements.txt
# Production-like values: what `check --deploy` judges is a real site's settings.
TEST_SETTINGS := DJANGO_SETTINGS_MODULE=tests.settings
LOCK := $(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

SEEDS := 1 2 3

.PHONY: help run test check chaos bench format assets screenshots lock development

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

run: ## Start the whole site here (PORT=8000, DATA_DIR=var)
	$(BOOTSTRAP)
	@exec $(PY) manage.py up

test: development ## Run the tests (ARGS="-k name" for some)
	@exec $(PY) -m pytest -n auto $(ARGS)

check: development ## Lint, format, types, templates, migrations and deploy checks
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy .
	@$(PY) -m djlint --quiet --lint templates
	@$(TEST_SETTINGS) $(PY) -W ignore manage.py makemigrations --check --dry-run
	@$(TEST_SETTINGS) $(PY) manage.py check --deploy --fail-level WARNING

chaos: development ## Kill, freeze and starve the site (SEEDS="1 2 3", SCENARIO=S1)
	@exec $(PY) -m tests.chaos --seeds "$(SEEDS)" --scenarios "$(SCENARIO)"

bench: development ## Measure against the limits, as ratios (bench/README.md)
	@$(PY) -m bench.sending
	@$(PY) -m bench.million
	@$(PY) -m bench.imports
	@$(PY) -m bench.sign_ups
	@$(PY) -m bench.answers

format: development ## Put the code into shape
	@$(PY) -m ruff check --fix --quiet .
	@$(PY) -m ruff format --quiet .

assets: ## Compile frontend/ into static/ (needs Node)
	@cd frontend && npm ci --silent --no-audit --no-fund && npm run --silent build

screenshots: development ## Take the README's pictures (needs chromium)
	@$(PY) -m tests.browser.screenshots

lock: development ## Renew the locked requirements from the .in files
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) requirements-dev.in -o requirements-dev.txt

development:
	$(BOOTSTRAP) requirements-dev.txt
