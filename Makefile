# `make help` lists what there is. Two commands matter: `make repro` and `make test`; both build
# what they need in .venv first.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# The first interpreter that will do, unless one is named: make setup PYTHON=/path/to/python3.12
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c '$(FITS)' 2>/dev/null && { echo "$$python"; break; }; done)
# Another build of torch: make setup TORCH_INDEX=<URL of a package index>. Remembered in .venv.
TORCH_INDEX ?=
BUILT_WITH := .venv/.torch-index
PIP := .venv/bin/python -m pip install -qq

# Every command below runs in .venv, and nothing is reported home or looked up outside.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export DVC_STUDIO_OFFLINE := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

SOURCES = $(wildcard geocore flows tasks tests benchmarks)

.PHONY: help setup repro test slow faults studies deploy worker lint types bench docs server-stop clean other-torch moved

help: ## say what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) \
		| awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: .venv/.stamp ## build .venv from requirements.lock (PYTHON=..., TORCH_INDEX=... choose)

repro: setup ## run the pipeline: real digits, from the source to an evaluated network
	@python -m flows.server start
	dvc repro
	@echo "The results are in results/."

test: setup ## run the tests (what CI runs)
	pytest -n 2 --dist loadfile

slow: setup ## run the tests that are too long for every day
	pytest -m "slow and not faults"

faults: setup ## inject faults into every stage and reader, and write docs/reliability.md
	pytest -m faults tests/faults tests/fuzz

studies: setup ## run every study under studies/
	@if find studies -name dvc.yaml 2>/dev/null | grep -q .; then \
		python -m flows.server start; dvc repro -R studies; \
	else echo "There is no study yet: studies/ holds no dvc.yaml."; fi

lint: setup ## check style and formatting
	ruff check .
	ruff format --check .

types: setup ## check types
	mypy $(SOURCES)

bench: setup ## run every benchmark: ratios to a named peer or to the naive way
	@for script in $(wildcard benchmarks/*.py); do echo "== $$script"; python "$$script"; done

docs: setup ## build the pages into site/
	mkdocs build --strict

deploy: setup ## bring the deployments of prefect.yaml to the project's Prefect server
	@python -m flows.deployments deploy --create-pool

worker: setup ## run what is scheduled or asked for, until Ctrl-C
	@python -m flows.deployments worker

server-stop: setup ## stop the project's Prefect server
	@python -m flows.server stop

clean: ## remove the tools' caches and site/; data, results, stores and .venv stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist site *.egg-info
	find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# The stamp is written last; .building says that a set-up was cut short, which is then begun anew.
# torch comes first and with what it requires (a build for CUDA brings packages of its own), the
# rest exactly as locked.
.venv/.stamp: requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "make setup: found no Python 3.11, 3.12 or 3.13; name one: make setup PYTHON=/path/to/python" >&2; exit 1; \
	elif ! "$(PYTHON)" -c '$(FITS)' 2>/dev/null; then \
		echo "make setup: PYTHON is $(PYTHON) ($$("$(PYTHON)" -V 2>/dev/null || echo 'it does not run')); expected Python 3.11, 3.12 or 3.13" >&2; exit 1; fi
	@[ ! -e .venv/.building ] || rm -rf .venv
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv \
		|| { rm -rf .venv; echo "make setup: $(PYTHON) makes no virtual environment; is its venv package there (Debian: python3-venv)?" >&2; exit 1; }
	@touch .venv/.building
	@echo "Setting up .venv: a few minutes, once."
	$(PIP) $(addprefix --index-url ,$(TORCH_INDEX)) "$$(grep '^torch==' requirements.lock)"
	$(PIP) --no-deps -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@echo "$(TORCH_INDEX)" > $(BUILT_WITH)
	@rm .venv/.building
	@echo "$(CURDIR)" > $@

# Asked for another build of torch than the one that is there: take the old one out.
ifneq ($(TORCH_INDEX),)
ifneq ($(TORCH_INDEX),$(shell cat $(BUILT_WITH) 2>/dev/null))
.venv/.stamp: other-torch
endif
endif
other-torch:
	@[ ! -x .venv/bin/pip ] || .venv/bin/python -m pip uninstall --yes --quiet torch

# A virtual environment holds its own path: in a repository that was moved, build it anew.
ifneq ($(wildcard .venv/.stamp),)
ifneq ($(shell cat .venv/.stamp),$(CURDIR))
.venv/.stamp: moved
endif
endif
moved:
	@touch .venv/.building
