# The two commands: `make demo` (set up, then the whole run) and `make test` (set up, then the tests).

PYTHON ?= python3
VENV ?= .venv
CONFIG ?= conf/demo.yaml
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SYSTEM := .venv-system
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test system test-system lint ui serve chat clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## virtual environment, Delta's jars, base model; once, needs the network

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(f"found Python {sys.version.split()[0]}; expected 3.11 or newer; to fix: make PYTHON=python3.11 $(MAKECMDGOALS)" if sys.version_info < (3, 11) else 0)'
	@java=$$($(PYTHON) dolly/java.py) && echo "Java: $$java"
	@echo "virtual environment: $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@echo "packages: pinned in constraints.txt (some 6 GB, a few minutes)"
	@$(BIN)/python -m uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[spark,docs,train,serve,s3,postgresql,dev]'
	@$(BIN)/dolly setup
	@touch $(INSTALLED)

demo: setup ## the whole run on the sample company: files to served answers
	@$(BIN)/dolly run conf/demo.yaml

test: setup ## the tests that need no server, in two processes; under 12 minutes on two cores
	@$(PYTEST)

system: $(SYSTEM)/.installed ## what test-system needs: PostgreSQL, Chromium, an S3 server, jars for S3; Debian, as root

$(SYSTEM)/.installed: $(INSTALLED) tests/system/install.sh tests/system/s3.txt tests/system/clients.txt
	@tests/system/install.sh $(BIN)/python $(SYSTEM)
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[azure,gcs]'
	@$(BIN)/dolly setup --s3
	@touch $@

test-system: system ## the tests on real servers, clusters and browsers, and the long ones; under 30 minutes on two cores
	@DOLLY_SYSTEM=$(abspath $(SYSTEM)) $(PYTEST) tests/system

lint: setup ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

ui: setup ## MLflow UI on the runs
	@$(BIN)/dolly ui

serve: setup ## serve the champion of CONFIG as an OpenAI-compatible API
	@$(BIN)/dolly serve $(CONFIG)

chat: setup ## open the chat page of the running server
	@$(BIN)/dolly chat $(CONFIG)

clean: ## remove all that runs and tests have written; keeps the virtual environment
	@rm -rf .dolly .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
