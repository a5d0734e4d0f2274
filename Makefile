# mien: two commands for a newcomer, `make report` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STUDY  ?= notebooks/studies/demo.yaml

.DEFAULT_GOAL := help
.PHONY: help setup report test lint lab publish lock clean

help: ## list these targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## create .venv and install the locked dependencies

# The stamp is newer than the lock once everything is in, so a second call installs nothing.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) tools/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) (once, some minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
	@touch $@

report: setup ## run a study and print where its report is (STUDY=notebooks/studies/demo.yaml)
	@$(BIN)/mien run $(STUDY)

test: setup ## run the whole test suite (TESTS="-m numerics": a part of it)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --durations=20 $(TESTS)

lint: setup ## check library, tests and notebooks with ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

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
