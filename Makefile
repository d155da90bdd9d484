# `make run` and `make test` set up everything they need; a second call goes straight to work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run demo test check bench prove lock clean

$(VENV)/.ready: pyproject.toml requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

run: $(VENV)/.ready
	$(BIN)/consentful serve

demo: $(VENV)/.ready
	$(BIN)/consentful demo

test: $(VENV)/.ready
	$(BIN)/pytest

check: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/.ready
	$(BIN)/python -m bench

prove: $(VENV)/.ready
	$(BIN)/pytest -m prove

# The lock: hashes and versions, no addresses.
lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --extra demo --extra testing --group dev pyproject.toml --output-file requirements.txt

clean:
	rm -rf $(VENV)
