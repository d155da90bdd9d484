# `make run` and `make test` set up everything they need; a second call goes straight to work.
PYTHON ?= python3
# Another Python gets an environment of its own: `make test PYTHON=python3.13` leaves the usual one as it is.
ASIDE := $(if $(filter-out python3,$(PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
VENV ?= .venv$(ASIDE)
JOBS ?= auto
BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check
# A lock is complete, and nothing is to be resolved anew: for an extra that the lock has resolved (`coverage[toml]`), pip
# before 24.1 asks the index, meets a version newer than the lock's, and refuses it because it has no hash here.
LOCKED := $(PIP) install --no-deps --require-hashes
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

.PHONY: run demo test check wheel sbom bench prove lock clean

# What the service needs, and nothing else.
$(VENV)/.server: pyproject.toml requirements-server.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(LOCKED) -r requirements-server.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

# What the tests and the checks need as well.
$(VENV)/.develop: $(VENV)/.server requirements.txt
	$(LOCKED) -r requirements.txt
	touch $@

run: $(VENV)/.server
	$(BIN)/consentful serve

demo: $(VENV)/.server
	$(BIN)/consentful demo

# On all cores, a module at a time, in the order of their names: the longest ones come early. `make test JOBS=0` runs
# them in one process, for a debugger.
test: $(VENV)/.develop
	$(BIN)/pytest --numprocesses $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(TESTS)

check: $(VENV)/.develop
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	VENV=$(VENV) bash .ci/audit
	VENV=$(VENV) bash .ci/licences

# The wheel and each of its extras, in empty environments.
wheel: $(VENV)/.develop
	VENV=$(VENV) bash .ci/wheel

# What the image holds of others, and under which licences: dist/consentful.cdx.json.
sbom: $(VENV)/.develop
	VENV=$(VENV) bash .ci/sbom

# The peers that only the benchmarks need.
$(VENV)/.bench: $(VENV)/.develop requirements-bench.txt
	$(LOCKED) -r requirements-bench.txt
	touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m bench

$(VENV)/.prove: $(VENV)/.develop requirements-prove.txt
	$(LOCKED) -r requirements-prove.txt
	touch $@

# The long proofs, which `make test` runs in a short form.
prove: $(VENV)/.bench $(VENV)/.prove
	$(BIN)/pytest -m prove -o faulthandler_timeout=1800

# The locks: versions and hashes, no addresses.
lock: $(VENV)/.develop
	$(COMPILE) --extra demo --extra data --extra postgres --extra otel --group build pyproject.toml --output-file requirements-server.txt
	$(COMPILE) --all-extras --group dev --group build pyproject.toml --output-file requirements.txt
	$(COMPILE) --group bench --constraint requirements.txt --output-file requirements-bench.txt
	$(COMPILE) --group prove --constraint requirements.txt --output-file requirements-prove.txt

clean:
	rm -rf $(VENV)
