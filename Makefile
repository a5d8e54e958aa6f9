# Shortcuts for the commands of CONTRIBUTING.md. `.ci/run` runs every gate.
.DEFAULT_GOAL := help
.PHONY: help test all one lint types web docs bench

T ?= tests/core/test_occ.py
B ?= grouping
RUN := .venv/bin

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 8

test: $(RUN)/pytest ## run all tests but those in the folders that CONTRIBUTING.md names
	$(RUN)/pytest

all: $(RUN)/pytest ## run all tests
	$(RUN)/pytest tests

one: $(RUN)/pytest ## run one test file: make one T=tests/core/test_occ.py
	$(RUN)/pytest -n 0 $(T)

lint: $(RUN)/pytest ## check style, format and imports
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/lint-imports

types: $(RUN)/pytest ## check types
	$(RUN)/mypy
	$(RUN)/mypy --config-file benchmarks/mypy.ini benchmarks/*.py

web: web/node_modules ## check and test the card and the page
	cd web && npm run check && npm test

docs: $(RUN)/pytest ## write the generated parts of docs/, and compare all of it with the code
	$(RUN)/python -m tests.test_docs
	$(RUN)/pytest -n 0 tests/test_docs.py

bench: $(RUN)/pytest ## run one benchmark: make bench B=grouping
	$(RUN)/python benchmarks/$(B).py

$(RUN)/pytest:
	python3 -m venv .venv && $(RUN)/pip install -e '.[dev]'

web/node_modules:
	cd web && npm ci
