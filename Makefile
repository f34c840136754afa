# Needs Rust, a C compiler and Python 3.10 or newer with venv. Everything else is put into .venv.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
CARGO ?= cargo
VENV := .venv
BIN := $(VENV)/bin

# What the installed package is made of. Built files are left out.
SOURCES := Cargo.toml Cargo.lock pyproject.toml \
	$(shell find src python build_backend -type f \
		\( -name '*.rs' -o -name '*.py' -o -name '*.pyi' -o -name py.typed \) 2>/dev/null)

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: install ## install evalbox into .venv and show what it does
	$(BIN)/python examples/tour.py

.PHONY: test
test: lint check-deps check-docs test-rust lint-python test-python ## run every check and test

.PHONY: lint
lint: ## rustfmt and clippy, warnings are errors
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --features cli -- -D warnings
	PYO3_PYTHON=$(PYTHON) $(CARGO) clippy --locked --lib --features python -- -D warnings

.PHONY: test-rust
test-rust: ## Rust tests, the escape payloads and documentation examples
	$(CARGO) test --locked --features cli

.PHONY: check-deps
check-deps: $(VENV)/.dev ## licences and duplicate versions of dependencies (deny.toml)
	$(BIN)/python tools/check_deps.py

.PHONY: check-docs
check-docs: $(VENV)/.dev ## generated tables of docs/threat-model.md are up to date
	$(BIN)/python tools/threat_table.py --check

.PHONY: docs
docs: $(VENV)/.dev ## rewrite the generated tables of docs/threat-model.md
	$(BIN)/python tools/threat_table.py

.PHONY: lint-python
lint-python: $(VENV)/.dev install ## ruff, mypy and stubtest
	$(BIN)/ruff check python tests/python examples tools build_backend
	$(BIN)/ruff format --check python tests/python examples tools build_backend
	$(BIN)/mypy python/evalbox
	$(BIN)/python -m mypy.stubtest evalbox._native --allowlist tests/python/stubtest.txt

.PHONY: test-python
test-python: $(VENV)/.dev install ## Python tests, with the examples and the README's code
	$(BIN)/python -m pytest tests/python

.PHONY: bench
bench: install ## measure evalbox on this machine
	PATH="$(CURDIR)/$(BIN):$$PATH" benches/run

.PHONY: fmt
fmt: $(VENV)/.dev ## format everything
	$(CARGO) fmt
	$(BIN)/ruff check --fix-only python tests/python examples tools build_backend
	$(BIN)/ruff format python tests/python examples tools build_backend

.PHONY: install
install: $(VENV)/.installed ## build a release and install it into .venv

.PHONY: clean
clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf $(VENV) dist build *.egg-info python/evalbox/bin python/evalbox/*.so \
		tests/payloads/bin .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/.installed: $(SOURCES) $(VENV)/.made
	$(BIN)/python -m pip install --disable-pip-version-check .
	touch $@
