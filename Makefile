# The commands of a fresh machine: `make demo`, `make web` and `make test`. Each makes the virtual
# environment it needs in .venv, and can be repeated; nothing outside this folder is installed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# One test at a time to whichever worker is free: some take a minute, most none.
PYTEST := $(BIN)/pytest --numprocesses auto --dist loadgroup

.PHONY: demo web test check quick verify lint bench docs release-check clean
.DEFAULT_GOAL := demo

demo: $(VENV)/demo.stamp  ## Shipped handwriting through the gateware on the virtual board.
	$(BIN)/stepnet demo

web: $(VENV)/web.stamp  ## A page to draw on, read by the virtual board.
	$(BIN)/stepnet web

test: lint  ## Everything: style, types, arrows, tests and benches.
	$(PYTEST)

check: $(VENV)/test.stamp  ## What takes less than a minute: style, types, arrows and the quick tests.
	$(MAKE) --jobs=2 --output-sync=target lint quick

quick: $(VENV)/test.stamp
	$(PYTEST) --numprocesses 3 -m "not slow" --quiet

verify: $(VENV)/test.stamp  ## The whole ladder: benches with coverage, the chip, proofs, netlists.
	$(BIN)/stepnet verify

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench: $(VENV)/bench.stamp  ## The figures of docs/benchmarks.md.
	$(BIN)/python benchmarks/run_all.py

docs: $(VENV)/docs.stamp  ## The documentation as a site, in build/site; any warning is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file website/mkdocs.yml

# Everything in build/release, caches too, so that nothing of this machine helps.
RELEASE := build/release
release-check: $(VENV)/release.stamp  ## A release that is built, checked, installed elsewhere and tried.
	rm -rf $(RELEASE)
	$(VENV)/release/bin/python -m build --outdir $(RELEASE)
	$(VENV)/release/bin/twine check --strict $(RELEASE)/stepnet-*
	$(VENV)/release/bin/cffconvert --validate --infile CITATION.cff
	$(PYTHON) -m venv $(RELEASE)/empty
	$(RELEASE)/empty/bin/pip install --quiet --disable-pip-version-check "$$(echo $(RELEASE)/*.whl)[sim,web]"
	cd $(RELEASE) && XDG_CACHE_HOME=$$PWD/cache empty/bin/stepnet demo && empty/bin/stepnet boards && empty/bin/stepnet web --export web

clean:
	rm -rf $(VENV) build dist

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stepnet: $(PYTHON) is older than Python 3.11; name another with: make PYTHON=python3.12" >&2; exit 3; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "stepnet: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 3; }
	@touch $@

$(VENV)/demo.stamp: $(VENV)/python.stamp pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[sim]"
	@touch $@

$(VENV)/web.stamp: $(VENV)/python.stamp pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[sim,web]"
	@touch $@

$(VENV)/test.stamp: $(VENV)/python.stamp pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@

$(VENV)/docs.stamp: $(VENV)/python.stamp pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@

$(VENV)/release.stamp: $(VENV)/python.stamp pyproject.toml
	$(PYTHON) -m venv $(VENV)/release
	$(VENV)/release/bin/pip install --quiet --disable-pip-version-check ".[release]"
	@touch $@

$(VENV)/bench.stamp: $(VENV)/python.stamp pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[bench]"
	@touch $@
