# `make help` lists these. Each does its own set-up: virtual environment, packages, page, and what the system lacks.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
LOCKED := $(PIP) --require-hashes --no-deps -r
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
PAGE := dashboard/static/index.html
ANSIBLE := .venv-ansible/stamp
WEB := $(shell find dashboard/web -type f -not -path '*/node_modules/*' 2>/dev/null)
CODE := bridge dashboard tests scripts benchmarks
# Most tests wait for something more than they work, so a few more go at once than there are cores on a small machine.
WORKERS ?= 3
PYTEST := $(BIN)/pytest
AT_ONCE := $(PYTEST) -n $(WORKERS) --dist loadfile

.PHONY: help run demo test check unit real browser javascript homeassistant bench docs lock clean mosquitto chromium bundle pi pi-upgrade pi-rollback FORCE

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

run: $(PAGE) mosquitto ## start everything: broker, bridge, page (ARGS="--lan" for options)
	@exec $(BIN)/tickbridge up $(ARGS)

demo: $(PAGE) mosquitto ## the same with invented prices, without any network
	@exec $(BIN)/tickbridge demo $(ARGS)

test: check $(STAMPS)/test $(PAGE) mosquitto chromium ## everything: check and all tests, in Python, JavaScript and a browser
	$(AT_ONCE) -m "not alone"
	$(PYTEST) -m alone

check: $(STAMPS)/test ## format, lint, types and the rules of who may import whom
	$(BIN)/ruff format --check $(wildcard $(CODE))
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(STAMPS)/test ## only the pure tests, in seconds
	$(AT_ONCE) -m "not real and not browser"

real: $(STAMPS)/test mosquitto ## only the tests with real parts: Mosquitto, sockets, processes
	$(AT_ONCE) -m "real and not browser and not alone"
	$(PYTEST) -m "real and alone and not browser"

browser: $(STAMPS)/test $(PAGE) mosquitto chromium ## only the tests in a real browser
	$(PYTEST) -m browser

javascript: $(STAMPS)/test ## only the page's own tests
	$(PYTEST) tests/dashboard/page/test_pure.py

homeassistant: $(STAMPS)/test mosquitto ## only the tests with a real Home Assistant (scripts/homeassistant prepares one)
	$(BIN)/pytest tests/homeassistant --log-cli-level=info

bench: $(STAMPS)/test $(PAGE) mosquitto ## measure speed side by side with others (minutes)
	for one in receive publisher bridge recorder; do $(BIN)/python -m benchmarks.$$one; done

bundle: $(PAGE) ## the program for a machine without internet (ARGS="--arch aarch64 --python 3.13")
	@scripts/bundle $(ARGS)

pi: $(PAGE) $(ANSIBLE) ## install it on a Raspberry Pi: make pi HOST=pi@raspberrypi.local (docs/pi.md)
	@HOST='$(HOST)' scripts/pi install $(ARGS)

pi-upgrade: $(PAGE) $(ANSIBLE) ## bring this version to the Pi; one that does not work is rolled back
	@scripts/pi upgrade $(ARGS)

pi-rollback: $(ANSIBLE) ## back to the version before
	@scripts/pi rollback $(ARGS)

docs: $(STAMPS)/run ## write docs/settings.md anew from the program
	$(BIN)/python scripts/settings_page.py >docs/settings.md

lock: $(STAMPS)/venv ## choose the newest allowed versions of all packages, with their hashes
	$(PIP) uv
	$(COMPILE) --upgrade pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade --group ansible -o requirements-ansible.lock
	$(COMPILE) --upgrade pyproject.toml --group test --group check -c requirements.lock -c requirements-ansible.lock -o requirements-test.lock
	$(COMPILE) --upgrade --group build -o requirements-build.lock

clean: ## remove everything that was made here (not your data)
	rm -rf $(VENV) .venv-ansible dashboard/static dashboard/web/node_modules dist .*_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up: a stamp says what is done already, and does not come again while its lock is unchanged -------------

# Looked at every time: a system's Python may go without a trace here. Made anew it is empty, and so has no stamps.
$(STAMPS)/venv: FORCE
	@scripts/venv $(VENV)
	@[[ -e $@ ]] || { mkdir -p $(STAMPS) && touch $@; }

FORCE:

# The project itself is installed as it lies here, so that a change needs no new installation.
$(STAMPS)/run: requirements.lock requirements-build.lock pyproject.toml $(STAMPS)/venv
	@echo "Installing the Python packages of requirements.lock into $(VENV)"
	@$(LOCKED) requirements-build.lock
	@$(LOCKED) requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/test: requirements-test.lock $(STAMPS)/run
	@echo "Installing the Python packages of requirements-test.lock into $(VENV)"
	@$(LOCKED) requirements-test.lock
	@touch $@

# Ansible has a place of its own: only who has a Pi needs it.
$(ANSIBLE): requirements-ansible.lock
	@scripts/venv .venv-ansible
	@echo "Installing Ansible into .venv-ansible"
	@.venv-ansible/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@touch $@

$(PAGE): $(WEB) | $(STAMPS)/run
	@$(BIN)/python dashboard/web/build.py
	@touch $@

mosquitto:
	@scripts/system-package mosquitto mosquitto
	@scripts/system-package mosquitto-clients mosquitto_sub

chromium:
	@scripts/system-package chromium chromium chromium-browser google-chrome
