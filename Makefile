# `make` alone lists the targets. Everything runs from .venv, which `make env` makes.
.DEFAULT_GOAL := help
.PHONY: help env env-test lock protos protos-check protos-landed landed image lint test demo up chaos bench clean
SHELL := /bin/bash
PYTHON_BIN := .venv/bin/python

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

env: ## Debian packages and .venv (idempotent)
	@packaging/bootstrap.sh

env-test: ## the same, with what only the tests need
	@packaging/bootstrap.sh --tests

lock: ## refresh requirements.lock from pyproject.toml
	@echo "[lock] resolving against the ordinary index, whatever this machine's pip adds to it"
	@env -u UV_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS -u UV_DEFAULT_INDEX \
	  .venv/bin/uv pip compile --no-config --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet \
	  $(if $(UPGRADE),--upgrade) --output-file requirements.lock pyproject.toml
	@echo "[lock] $$(grep -c '^[a-z].*==' requirements.lock) packages in requirements.lock (make lock UPGRADE=1 takes newer ones)"

protos: env ## stubs, descriptor set and OpenAPI document from protos/, into generated/
	@$(PYTHON_BIN) packaging/protos.py

protos-check: env ## fail where generated/ is not what protos/ gives
	@$(PYTHON_BIN) packaging/protos.py --check

protos-landed: env ## record the contracts as landed: nothing in them may break from then on
	@$(PYTHON_BIN) packaging/contract_rules.py --landed

landed: protos-landed ## the same, and this commit as the version that the next one runs beside
	@$(PYTHON_BIN) -m tests.upgrade.landed

lint: env ## ruff, who may import whom, contract rules
	@echo "[lint] ruff"; .venv/bin/ruff check .
	@echo "[lint] who may import whom"; .venv/bin/lint-imports
	@echo "[lint] contracts"; $(PYTHON_BIN) packaging/contract_rules.py

image: env ## the small guest image, into .cache/guest (skipped when unchanged)
	@$(PYTHON_BIN) packaging/guest_image/build.py

test: env-test lint protos-check image ## everything that must hold: lint, fresh stubs, every test (ARGS="-k word" for some)
	@echo "[test] pytest"; .venv/bin/pytest --durations=10 $(ARGS)

compat: env-test image ## programs that others wrote, against the OpenStack dialects (ARGS="-k simulated" for some)
	@$(PYTHON_BIN) -m tests.compat.install
	@echo "[compat] pytest"; WEFT_COMPAT=1 .venv/bin/pytest --durations=10 tests/compat $(ARGS); said=$$?; \
	  echo "[compat] docs/openstack.md"; $(PYTHON_BIN) -m tests.compat.page; exit $$said

demo: env image ## boot a server and prove that all of it works (KEEP=1 leaves the cloud running)
	@.venv/bin/weft demo $(if $(KEEP),--keep)

up: env image ## start a cloud on this machine and leave it running
	@.venv/bin/weft up

chaos: env-test image ## a cloud under fire, counted at the end (MINUTES=5, SEED= of an earlier run, REAL= hosts with true guests)
	@$(PYTHON_BIN) -m tests.chaos --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED)) $(if $(REAL),--real $(REAL))

bench: env image ## benchmarks (FULL=1 long, ONLY="boot call" for some)
	@$(PYTHON_BIN) -m benchmarks $(if $(FULL),--full) $(addprefix --only ,$(ONLY))

clean: ## remove what was built or cached here, but for .venv
	@echo "[clean] .cache, build, dist and the caches of the tools"
	@rm -rf .cache build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
