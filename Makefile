# The commands of a fresh machine: `make demo`, `make web` and `make test`. Each makes the virtual
# environment it needs in .venv, and can be repeated; nothing outside this folder is installed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# One test at a time to whichever worker is free: some take a minute, most none.
PYTEST := $(BIN)/pytest --numprocesses auto --dist loadgroup

.PHONY: demo web test check quick verify lint bench clean
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

$(VENV)/bench.stamp: $(VENV)/python.stamp pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[bench]"
	@touch $@
