# Two commands need nothing before them: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
ONLY ?=
DATA ?= ../shared/data

.PHONY: demo test lint fix bench conformance slow lock clean

$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "careledger.pth").write_text(str(pathlib.Path("src").resolve()) + "\n")'
	@$(BIN)/python tools/console_script.py $(BIN)
	@touch $@

demo: $(READY)
	@$(BIN)/python -m careledger.demo $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "not slow" $(ARGS)

slow: $(READY)
	$(BIN)/python -m pytest -n 2 -m slow $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fix: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

conformance: $(READY)
	@if test -d $(DATA); then $(BIN)/python -m pytest tests/conformance -m "slow or not slow" --data $(DATA) $(ARGS); else echo "no $(DATA) beside this checkout: nothing to conform to"; fi

lock: $(READY)
	$(BIN)/python tools/lock.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
