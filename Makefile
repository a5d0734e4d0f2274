# mien: two commands for a newcomer, `make report` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STUDY  ?= demo
# uv installs in a fraction of pip's time; it is taken where it is there.
PIP    := $(if $(shell uv --version 2>/dev/null),uv pip install --python $(BIN)/python --compile-bytecode,$(BIN)/python -m pip install --disable-pip-version-check)

.DEFAULT_GOAL := help
.PHONY: help setup report test leaks mutants lint lab publish lock clean

help: ## list these targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## create .venv and install the locked dependencies

# The stamp is newer than the lock once everything is in, so a second call installs nothing.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) tools/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) (once, some minutes) ..."
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-index --no-deps --no-build-isolation -e .
	@touch $@

# The demo's chapters leave each other enough memory and processor to run two at once.
report: setup ## run a study and print where its report is (STUDY=demo)
	@$(BIN)/mien run $(STUDY) $(if $(filter demo,$(STUDY)),--jobs 2)

test: setup ## run the whole test suite (TESTS="-m numerics": a part of it)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --durations=20 $(TESTS)

leaks: setup ## compute guides/leaks.md anew: planted leaks, and that they are seen
	@MIEN_LEAKS=guides/leaks.md $(BIN)/python -m pytest -q tests/leaks

mutants: setup ## plant falsifications one by one: each must make its test fail
	@$(BIN)/python tests/mutants/plant.py

lint: setup ## check style with ruff, and with mypy what Windows and macOS lack
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@for system in linux win32 darwin; do \
		$(BIN)/mypy --platform $$system --cache-dir .mypy_cache/$$system || exit 1; done

lab: setup ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

publish: setup ## gather the pages of a study for a web server (STUDY=..., TO=site)
	@$(BIN)/mien publish $(STUDY) --to $(or $(TO),site)

lock: ## pin the dependencies of pyproject.toml anew (needs uv)
	@uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --quiet -o requirements.lock

clean: ## remove .venv and everything that runs have made in reports/
	@rm -rf $(VENV)
	@find reports -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
