# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TESTS := $(BIN)/python -m tests -n 2 --dist loadfile tests

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all clusters soak lint format bench reference attack clean image sbom demo-kind test-kind

help:  ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(STAMP)  ## Create .venv with everything that the other targets need

$(STAMP): pyproject.toml constraints.txt hatch_build.py $(wildcard backends/local/runner/*.c backends/local/runner/*.h)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Comity needs Python 3.11 or newer; say PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,demo]'
	touch $(STAMP)

# Where PYTHONDONTWRITEBYTECODE is set nothing would ever be cached, and every start would compile every module.
.PHONY: compiled
compiled: $(STAMP)
	@$(BIN)/python -m compileall -q orchestrator backends

demo: compiled  ## The whole story on this machine, with real processes; under a minute after installing
	$(BIN)/comity demo

LINT = $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

# The tools of the test clusters are built beside everything else, at the lowest priority; the tests that need them wait.
# What cannot be built or installed here those tests say, so nothing is said twice.
BESIDE = $(BIN)/python -m tests.e2e.kube build >/dev/null 2>&1 & builder=$$!; \
  $(BIN)/python -m tests.e2e.bacalhau build >/dev/null 2>&1 & builder="$$builder $$!"; \
  $(BIN)/python -m tests.e2e.s3 build >/dev/null 2>&1 & builder="$$builder $$!"; \
  trap 'kill $$builder 2>/dev/null || true' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM;

test: compiled  ## Everything that must hold
	@$(BESIDE) $(LINT) && $(TESTS)

test-all: compiled  ## The same at full size
	@$(BESIDE) $(LINT) && COMITY_TEST_SIZE=full $(TESTS)

clusters: $(STAMP)  ## Two real Kubernetes clusters on this machine, fr and de, until it is ended; needs root and Go
	@$(BIN)/python -m tests.e2e.kube build && exec $(BIN)/python -m tests.e2e.kube up --name fr --name de

soak: compiled  ## Simulated hours until somebody stops it (HOURS=100000)
	$(BIN)/python -m tests.sim --hours $(or $(HOURS),100000)

lint: $(STAMP)  ## Floors, types, style
	$(LINT)

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Policy engines that B2 runs beside ours; without a wheel for this machine the page says so instead.
$(VENV)/.peers: $(STAMP)
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[peers]'
	touch $@

attack: compiled  ## Tell every lie of the threat model to a real server, and see which are caught
	@$(BIN)/python -m tests.attack

bench: compiled $(VENV)/.peers  ## All figures, written to docs/benchmarks.md
	$(BIN)/python -m bench --all --peers --write docs/benchmarks.md

reference: $(STAMP)  ## Write docs/reference from the code
	$(BIN)/python -m docs.tools.generate
	$(BIN)/python -m docs.tools.rights

# The base of the image has no default, and none by tag: it would be another one tomorrow.
ENGINE ?= $(or $(shell command -v podman),$(shell command -v docker))
IMAGE ?= comity:$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' orchestrator/version.py)

image:  ## Build the container image: BASE=NAME@sha256:... [IMAGE=NAME:TAG]
	@printf '%s\n' '$(BASE)' | grep -Eq '@sha256:[0-9a-f]{64}$$' || { \
	  echo 'say on which base, by digest: make image BASE=NAME@sha256:... (not "$(BASE)")' >&2; exit 2; }
	$(ENGINE) build --file Containerfile --build-arg 'BASE=$(BASE)' --tag '$(IMAGE)' .

# Two environments: what is listed, and the tool that lists it.
SBOM ?= build/sbom
sbom:  ## What an installation holds, by name, version and licence: build/sbom.cdx.json
	rm -rf '$(SBOM)' && $(PYTHON) -m venv '$(SBOM)/run' && $(PYTHON) -m venv '$(SBOM)/tool'
	'$(SBOM)/run/bin/python' -m pip install --quiet --disable-pip-version-check -c constraints.txt .
	rm '$(SBOM)'/run/lib/python*/site-packages/comity-*.dist-info/direct_url.json # the folder it was built in
	'$(SBOM)/tool/bin/python' -m pip install --quiet --disable-pip-version-check -c constraints.txt cyclonedx-bom
	'$(SBOM)/tool/bin/cyclonedx-py' environment --gather-license-texts --output-reproducible \
	  --output-format JSON --output-file '$(SBOM).cdx.json' '$(SBOM)/run/bin/python'

demo-kind:  ## Comity on a kind cluster with nodes of two jurisdictions; needs kind, kubectl, helm; IMAGE as built
	IMAGE='$(IMAGE)' examples/kind/demo.sh

test-kind: $(STAMP)  ## The tests of Kubernetes on kind clusters fr and de; needs kind, kubectl, helm, Go
	PYTHON=$(BIN)/python examples/kind/test.sh

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
