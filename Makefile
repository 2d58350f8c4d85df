# Every word of this project; `make` alone lists them.
# It needs Python 3.11 or later, make, and a package index. Nothing else.

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready
REFERENCE := $(patsubst %/pyproject.toml,%,$(wildcard reference/pyproject.toml))

# The oldest supported Python first: what works there works on later ones.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo "$$name" && break; done)

# Three times as many as two processors: most tests wait for another process. Who has nothing left
# takes half of another's, so that the tests of a file mostly share its servers. A few tests need
# fewer, whose start takes longer than these.
AT_ONCE = -n $(if $(findstring tests,$(ARGS)),2,6) --dist worksteal

# Show what a command printed only where it failed.
quietly = $(1) > $(VENV)/output.log 2>&1 || { cat $(VENV)/output.log; exit 1; }

# An environment beside .venv, made once: $(call fresh,folder,what to install).
fresh = test -x $(1)/bin/pytest || { $(PYTHON) -m venv --clear $(1) && \
	$(1)/bin/python -m pip install -q --no-input $(2); }
# The whole suite in such an environment, saying what it ran on.
tested = $(1)/bin/python -m pip install -q --no-input --no-deps --no-build-isolation -e . \
	$(addprefix -e ,$(REFERENCE)) && $(1)/bin/python -m pip list 2>/dev/null | \
	grep -iE '^(fastapi|starlette|pydantic|sqlalchemy) ' && \
	$(1)/bin/python -m pytest $(AT_ONCE) -m "" $(ARGS)
UV = $(shell command -v uv || echo $(VENV)/bin/uv)

export PORT ?= 8000
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# Tests start hundreds of processes: where a machine forbids .pyc files, each compiles everything.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup run test test-all mutate faults contract latest lowest release-check pythons peers check format lint types mypy pyright imports docs reference site bench lock
.NOTPARALLEL:

help: ## list these words
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1:\2/p' Makefile | \
		while IFS=: read -r word does; do printf '%-16s%s\n' "$$word" "$$does"; done

setup: $(STAMP) ## make .venv, or bring it up to date

$(STAMP): requirements-dev.txt pyproject.toml $(addsuffix /pyproject.toml,$(REFERENCE))
	@test -n "$(PYTHON)" || { \
		echo "No Python 3.11 or later with venv was found. Install one" >&2; \
		echo "(Debian, Ubuntu: apt install python3.11 python3.11-venv)," >&2; \
		echo "or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV); the first time takes a minute or two."
	@$(PY) -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install -q --no-input --require-hashes -r requirements-dev.txt
	@$(PY) -m pip install -q --no-input --no-deps --no-build-isolation \
		-e . $(addprefix -e ,$(REFERENCE))
	@touch $@

run: setup ## serve Depot with demo data on PORT (8000)
	@exec $(VENV)/bin/depot demo

test: setup ## run the tests; ARGS="tests/patching -x" narrows it
	@$(PY) -m pytest $(AT_ONCE) $(ARGS)

test-all: setup ## run the tests that take long as well, as continuous integration does
	@$(PY) -m pytest $(AT_ONCE) -m "" $(ARGS)

mutate: setup ## take mechanisms out, and list what no test misses; ARGS="src/roadworthy/limits"
	@$(PY) tests/mutation/run.py $(ARGS)

faults: setup ## fail everything under load, and write benchmarks/results/faults.md
	@FAULTS_TABLE=benchmarks/results/faults.md $(PY) -m pytest -m "" --all-faults tests/faults $(ARGS)

contract: setup ## ask Depot's tests of each engine for jobs, on PostgreSQL
	@for stack in celery-rabbitmq celery-redis rq; do \
		echo "$$stack"; $(PY) -m pytest -n 2 -m "" reference/tests --depot-on $$stack $(ARGS) || exit 1; done

latest: setup ## run the tests on the newest FastAPI, Starlette, Pydantic and SQLAlchemy there are
	@$(call fresh,.venv-latest,-r requirements-dev.txt --require-hashes)
	@.venv-latest/bin/python -m pip install -q --upgrade --pre fastapi starlette pydantic sqlalchemy
	@$(call tested,.venv-latest)

lowest: setup ## run the tests on the lowest versions that pyproject.toml allows (needs uv)
	@$(call fresh,.venv-lowest,-r requirements-dev.txt --require-hashes)
	@$(UV) pip compile pyproject.toml --all-extras --resolution lowest-direct --python-version 3.11 \
		--no-header --no-annotate --no-emit-index-url --quiet --output-file .venv-lowest/floors.txt
	@.venv-lowest/bin/python -m pip install -q -r .venv-lowest/floors.txt
	@$(call tested,.venv-lowest)

release-check: setup ## build what would be published, and use each extra alone; ARGS="--extras jobs,all"
	@PYTHONPATH=tools $(PY) -m release $(ARGS)

pythons: ## run the tests on each Python; ARGS="--only 3.14 tests/patching" narrows it
	@PYTHONPATH=tools $(if $(wildcard $(PY)),$(PY),$(PYTHON)) -m pythons $(ARGS)

peers: ## run FastAPI's own tests under our parts; FASTAPI=path/to/checkout or STARLETTE=...
	@test -n "$(FASTAPI)$(STARLETTE)" || { echo "Type: make peers FASTAPI=path/to/checkout" >&2; exit 1; }
	@$(call fresh,.venv-peers,-r requirements-peers.txt --require-hashes)
	@.venv-peers/bin/python tests/peers/run.py \
		$(if $(FASTAPI),--fastapi "$(FASTAPI)",--starlette "$(STARLETTE)") $(ARGS)

check: lint types imports docs ## everything that needs no running: style, types, layers, links

lint: setup
	@$(PY) -m ruff check --quiet
	@$(PY) -m ruff format --check --quiet || { echo "Type: make format" >&2; exit 1; }

types: mypy pyright

mypy: setup
	@$(PY) -m mypy --no-error-summary

pyright: setup
	@$(call quietly,$(PY) -m pyright --warnings)

imports: setup
	@$(call quietly,$(VENV)/bin/lint-imports --no-cache)

docs: setup
	@$(call quietly,$(PY) -m pytest tests/docs/test_pages.py)

format: setup ## let ruff rewrite what it can
	@$(PY) -m ruff check --quiet --fix-only
	@$(PY) -m ruff format --quiet

reference: setup ## write docs/reference/ from the docstrings, and fill in what pages quote
	@$(PY) docs/reference/write.py
	@$(PY) docs/fill.py

# An environment of its own: what builds the site has nothing to do with what the tests need.
site: ## build the pages of docs/ in site/, to read in a browser, also from the disk
	@test -x .venv-site/bin/python || $(PYTHON) -m venv .venv-site
	@.venv-site/bin/python -m pip install -q --no-input --require-hashes -r requirements-site.txt
	@.venv-site/bin/python docs/build.py $(ARGS)

bench: setup ## print one table for each script in benchmarks/
	@$(PY) -m pip install -q --no-input --require-hashes -r requirements-bench.txt
	@for script in benchmarks/[!_]*.py; do $(PY) "$$script" || exit 1; done

bench-gate: setup ## fail where a request costs over 3 % more instructions than was kept
	@$(PY) benchmarks/instructions.py --check $(ARGS)

# Only this word needs uv (pip install uv). What the image is made of comes from the same pins.
PINNED := --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --no-annotate --quiet
lock: ## pin what pyproject.toml asks for; ARGS=--upgrade takes newer releases
	@$(UV) --version >/dev/null && \
	$(UV) pip compile pyproject.toml $(addsuffix /pyproject.toml,$(REFERENCE)) \
		--group pyproject.toml:dev --all-extras --no-emit-package roadworthy \
		$(PINNED) --output-file requirements-dev.txt $(ARGS) && \
	$(UV) pip compile --group pyproject.toml:bench --constraint requirements-dev.txt \
		$(PINNED) --output-file requirements-bench.txt $(ARGS) && \
	$(UV) pip compile --group pyproject.toml:site --constraint requirements-dev.txt \
		$(PINNED) --output-file requirements-site.txt $(ARGS) && \
	$(UV) pip compile pyproject.toml --group pyproject.toml:peers --constraint requirements-dev.txt \
		--no-emit-package roadworthy $(PINNED) --output-file requirements-peers.txt $(ARGS) && \
	$(UV) pip compile reference/pyproject.toml --extra fast --no-emit-package roadworthy \
		--constraint requirements-dev.txt $(PINNED) --output-file deploy/requirements.txt && \
	echo hatchling | $(UV) pip compile - --constraint requirements-dev.txt \
		$(PINNED) --output-file deploy/requirements-build.txt
