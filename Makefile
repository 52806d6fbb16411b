# xdpcopy's verbs. Each one sets up what it needs, and skips what is already there.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup build check test test-zerocopy lint fmt fuzz e2e bench soak demo docs clean \
        packages lint-python lint-types lint-format lint-js lint-tidy lint-size test-c test-line test-unit

PYTHON := .venv/bin/python
STAMPS := build/stamps
SECONDS_EACH ?= 30
MINUTES ?= 20

# Under sudo, files in the checkout keep their owner; only what needs root runs as root.
OWNER := $(shell stat -c %U .)
AS_OWNER := $(if $(and $(filter 0,$(shell id -u)),$(filter-out root UNKNOWN,$(OWNER))),runuser -u $(OWNER) --)

PYTHON_CODE := appliance dataplane api tests setup.py
C_FILES := $(shell find dataplane tests -name '*.c' -not -name '*.bpf.c' -not -name '_*.c')
C_ALL := $(C_FILES) $(shell find dataplane tests -name '*.h' -o -name '*.bpf.c' -o -name '*.def')
JS_FILES := api/dashboard/static tests/dashboard
C_FLAGS := -std=gnu17 -Idataplane/include -Idataplane/src -Idataplane/pyxdp -Wno-unknown-warning-option
BUILD_FILES := $(C_ALL) $(shell find dataplane -name 'build.py')

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: packages $(STAMPS)/installed

build: setup $(STAMPS)/extensions ## Debian packages (needs sudo), Python environment, C extensions, the xdpcopy command

# The longest first, so that the short ones fill the gaps.
check: build ## the fast loop, about a minute: lint without clang-tidy, C tests, tests/line, tests/unit
	@$(MAKE) -j2 -k --output-sync=target test-line test-unit lint-types test-c lint-python lint-format lint-js lint-size

test: build ## everything: lint, C tests, fuzzers, simulator, Python tests (the end-to-end ones need root)
	@$(MAKE) lint test-c
	@$(MAKE) fuzz
	@$(AS_OWNER) $(MAKE) -C tests/sim run threads
	@[ "$$(id -u)" = 0 ] || echo "not root: skipping the end-to-end tests; run sudo make test to include them"
	@$(PYTHON) -m pytest

lint: build ## check formatting, linters, types and size limits; changes nothing
	@$(MAKE) -j2 -k --output-sync=target lint-python lint-types lint-format lint-js lint-tidy lint-size

fmt: setup ## format the Python and C code
	$(AS_OWNER) $(PYTHON) -m ruff check --fix-only --quiet $(PYTHON_CODE)
	$(AS_OWNER) $(PYTHON) -m ruff format $(PYTHON_CODE)
	$(AS_OWNER) clang-format -i $(filter-out %.def,$(C_ALL))

fuzz: packages ## fuzz the C code, SECONDS_EACH=30 for each fuzzer
	@[ ! -e tests/fuzz/Makefile ] || $(AS_OWNER) $(MAKE) -C tests/fuzz -j2 run SECONDS_EACH=$(SECONDS_EACH)

e2e: build ## only the end-to-end tests (root)
	@[ "$$(id -u)" = 0 ] || { echo "make e2e needs root: network namespaces and AF_XDP. Run sudo make e2e"; exit 1; }
	@$(PYTHON) -m pytest -m e2e

test-zerocopy: build ## the engine in a virtual machine, zero-copy on every queue (root); part of make test
	@XDPCOPY_ZEROCOPY=required $(PYTHON) -m pytest tests/zerocopy

bench: build ## ns per frame and frames/s, stage by stage and for the whole line
	@$(PYTHON) -m tests.bench

soak: build ## MINUTES=20 at half the engine's capacity: memory must not grow, the ledger must close (root)
	@[ "$$(id -u)" = 0 ] || { echo "make soak needs root: network namespaces and AF_XDP. Run sudo make soak"; exit 1; }
	@$(PYTHON) -m tests.bench.soak --minutes $(MINUTES)

demo: build ## the whole setup on this machine, with a verdict (root); KEEP=1 leaves it running
	@[ "$$(id -u)" = 0 ] || { echo "make demo needs root: network namespaces and AF_XDP. Run sudo make demo"; exit 1; }
	@KEEP=$(KEEP) $(PYTHON) -m appliance.demo

docs: build ## regenerate the reference pages and the Grafana dashboard; build the site in build/site
	@$(AS_OWNER) $(PYTHON) -m api.reference .
	@$(AS_OWNER) $(PYTHON) -m mkdocs build --strict

clean: ## remove build output, but keep .venv
	rm -rf build dist *.egg-info dataplane/_dataplane.* dataplane/pyxdp/_*.so dataplane/pyxdp/_*.c
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/artefacts
	find appliance dataplane api tests -name __pycache__ -type d -prune -exec rm -rf {} +

packages:
	@docker/setup.sh docker/packages.txt

.venv/installed: requirements.lock
	[ -x $(PYTHON) ] || $(AS_OWNER) /usr/bin/python3 -m venv .venv
	$(AS_OWNER) $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(AS_OWNER) touch $@

# An editable install compiles the extensions from scratch; after an edit the rule below is cheaper.
$(STAMPS)/installed: .venv/installed pyproject.toml setup.py | packages
	@$(AS_OWNER) mkdir -p $(STAMPS)
	$(AS_OWNER) $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(AS_OWNER) touch $@ $(STAMPS)/extensions

$(STAMPS)/extensions: $(BUILD_FILES) | $(STAMPS)/installed
	$(AS_OWNER) $(PYTHON) -W ignore setup.py --quiet build_ext --inplace
	@$(AS_OWNER) touch $@

lint-python:
	@$(AS_OWNER) $(PYTHON) -m ruff check --quiet $(PYTHON_CODE)
	@$(AS_OWNER) $(PYTHON) -m ruff format --quiet --check $(PYTHON_CODE)

lint-types:
	@$(AS_OWNER) $(PYTHON) -m mypy

lint-format:
	@clang-format --dry-run -Werror $(filter-out %.def,$(C_ALL))

lint-js:
	@said=$$($(AS_OWNER) .venv/bin/oxlint --deny-warnings $(JS_FILES)) || { echo "$$said"; exit 1; }

lint-tidy:
	@printf '%s\n' $(filter dataplane/%,$(C_FILES)) | xargs -P 2 -I{} clang-tidy --quiet {} -- $(C_FLAGS) 2>/dev/null

lint-size:
	@$(PYTHON) -m lizard -l cpp -w -L 60 -C 12 -x '*/_*.c' dataplane
	@$(PYTHON) -m lizard -l cpp -w -L 60 -C 15 tests
	@$(PYTHON) -m lizard -l python -w -L 40 -C 12 $(PYTHON_CODE)
	@$(PYTHON) -m tests.sizes

test-c: packages
	@[ ! -e tests/c/Makefile ] || $(AS_OWNER) $(MAKE) -C tests/c

test-line:
	@$(AS_OWNER) $(PYTHON) -m pytest tests/line -q -m "not slow"

test-unit:
	@$(AS_OWNER) $(PYTHON) -m pytest tests/unit -q -m "not slow"
