# FieldHub: `make demo` shows it, `make test` proves it, `make bench` measures it.
#
#   make demo PORT=8420     the county in a box, in a browser, with simulated devices
#   make test ARGS="-k ..." style, types and every test; ARGS go to pytest, JOBS=0 runs them one by one (for --pdb)
#   make bench ONLY=...     the numbers we promise; never part of the tests
#   make lint               style and types alone
#   make lock UPGRADE=1     write requirements/*.txt anew (UPGRADE=1: newest within the ranges)
#   make vulnerable         ask the internet whether a locked package has a known hole (where there is one)
#   make clean              take away everything that was made here

PORT    ?= 8420
PYTHON  ?= $(shell command -v python3.11 || command -v python3)
UPGRADE ?=
ARGS    ?=
JOBS    ?= 3
ONLY    ?=

VENV  := .venv
PY    := $(VENV)/bin/python
PIP   := $(PY) -m pip --disable-pip-version-check --quiet
LOCKS := requirements/run.txt requirements/test.txt

# A set-up is done when its stamp exists. The stamp's name is a sum of what went into it, so that another
# branch, another lock or a moved folder sets up again, and nothing else does.
sum_of = $(shell { cat $(1); echo "$(CURDIR)"; } 2>/dev/null | cksum | tr ' ' '-')
RUN_STAMP  := $(VENV)/.run-$(call sum_of,pyproject.toml requirements/run.txt)
TEST_STAMP := $(VENV)/.test-$(call sum_of,pyproject.toml $(LOCKS))

# The project last and without its dependencies: the lock has brought them, with hashes.
install_lock = $(PIP) install --require-hashes -r $(1)
install_ours = $(PIP) install --no-deps --no-build-isolation --editable .

.PHONY: demo test bench lint lock vulnerable clean
.DEFAULT_GOAL := demo

demo: $(RUN_STAMP)
	$(VENV)/bin/fieldhub demo --port $(PORT)

test: lint
	sh tests/setup_debian.sh
	$(PY) -m pytest -n $(JOBS) --dist load --maxschedchunk 1 $(ARGS)

lint: $(TEST_STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(TEST_STAMP)
	@for script in $(or $(ONLY),$(basename $(notdir $(filter-out bench/__init__.py,$(wildcard bench/*.py))))); do \
	    echo; echo "== $$script"; $(PY) -m bench.$$script || exit 1; \
	done

lock: $(PY)
	@$(PIP) install 'pip-tools>=7.5,<8'
	$(call compile,run)
	$(call compile,test,--extra test)

vulnerable: $(PY)
	@$(PIP) install 'pip-audit>=2.10,<3'
	$(PY) -m pip_audit --require-hashes --disable-pip -r requirements/run.txt

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# No index, no path and no command line is written into a lock: who installs decides where packages come from.
define compile
	@echo "requirements/$(1).txt"
	@$(PY) -m piptools compile --quiet $(if $(UPGRADE),--upgrade) $(2) \
	    --generate-hashes --allow-unsafe --strip-extras --no-header --annotation-style line \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
	    --output-file requirements/$(1).txt pyproject.toml requirements/$(1).in
endef

$(RUN_STAMP): | $(PY)
	@echo "Setting up what a hub needs (once; later starts skip this) ..."
	@$(call install_lock,requirements/run.txt)
	@$(install_ours)
	@rm -f $(VENV)/.run-* && touch $@

$(TEST_STAMP): | $(RUN_STAMP)
	@echo "Setting up what the tests need (once; later runs skip this) ..."
	@$(call install_lock,requirements/test.txt)
	@rm -f $(VENV)/.test-* && touch $@

$(PY):
	@sh requirements/python_is_fit.sh "$(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
