# Everything a developer types. It needs python3 (3.11 or newer) and git; the rest comes into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
AUDITED := .venv/.audited

# Recorded traffic of real systems, for the tests that replay it (CONTRIBUTING.md, "Recordings").
ifndef ILS_PAYMENT_SHARED_DATA
ifneq ($(wildcard ../shared/data/.),)
export ILS_PAYMENT_SHARED_DATA := $(abspath ../shared/data)
endif
endif

# Where Python may not keep what it has compiled, as in many containers, each of a hundred processes compiles anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test pages contracts lint format simulate failpoints planted machine kill crowd fuzz audit sbom kpz coverage mutate bench clean .venv

help: ## Show this list
	@awk -F ':.*## ' '/^[.a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Options go into ARGS: make demo ARGS=--auto, make test ARGS='-k koha -x'"

demo: .venv ## Pay a fee in a simulated library: prints the address to open
	@$(BIN)/ils-payment demo $(ARGS)

test: .venv ## Run all tests, on SQLite, PostgreSQL and in a real browser
	@chromium=$$($(BIN)/python scripts/find_browser.py) || exit 1; \
	ILS_PAYMENT_CHROMIUM="$$chromium" $(BIN)/python -m pytest -n 2 $(ARGS)

pages: .venv ## Let axe look at every page in every language, width and scheme
	@chromium=$$($(BIN)/python scripts/find_browser.py) || exit 1; \
	ILS_PAYMENT_EVERY_LOOK=1 ILS_PAYMENT_CHROMIUM="$$chromium" $(BIN)/python -m pytest -n 2 \
	tests/browser/test_every_page.py tests/browser/test_staff_pages_look.py $(ARGS)

contracts: .venv ## Prove all plugins by the contract kits alone; the last line counts the tests that passed
	@$(BIN)/python -m pytest -q -m contract --contracts-json tests/contracts $(ARGS)

lint: .venv ## Check format, rules, types, import directions and the lock file
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml ils_payment adapters providers runners
	@$(BIN)/uv lock --check --offline --quiet || { echo "uv.lock does not fit pyproject.toml. Type: .venv/bin/uv lock"; exit 1; }

format: .venv ## Put all Python files into the house's format
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

simulate: .venv ## Play SCHEDULES=3000 seeded schedules full of faults (SEED=, REPLAY=a-seed, PLUGIN=sip2, KEEP=file)
	@$(BIN)/python -m tests.faults.simulate --schedules $(or $(SCHEDULES),3000) \
	$(if $(SEED),--seed $(SEED)) $(if $(REPLAY),--replay $(REPLAY)) $(if $(PLUGIN),--plugin $(PLUGIN)) $(if $(KEEP),--keep $(KEEP)) $(ARGS)

failpoints: .venv ## Let the program die at every failpoint of every scenario (FAILPOINT_PAIRS=300)
	@$(BIN)/python -m tests.faults.failpoints

planted: .venv ## Plant defects and count how many the simulator finds (PLANTED_LIMIT=3000)
	@$(BIN)/python -m tests.faults.planted.run

machine: .venv ## Let Hypothesis play a payment (PAYMENT_MACHINE_EXAMPLES=1000, PAYMENT_MACHINE_STEPS=50)
	@PAYMENT_MACHINE_EXAMPLES=$(or $(PAYMENT_MACHINE_EXAMPLES),1000) \
	PAYMENT_MACHINE_STEPS=$(or $(PAYMENT_MACHINE_STEPS),50) \
	$(BIN)/python -m pytest -q tests/faults/test_payment_machine.py

kill: .venv ## Kill real processes KILLS=200 times, stop the database STOPS=20 times (DATABASE=both, SEED=)
	@KILLS=$(or $(KILLS),200) STOPS=$(or $(STOPS),20) DATABASE=$(or $(DATABASE),both) SEED=$(or $(SEED),0) \
	$(BIN)/python -m tests.faults.kill

crowd: .venv ## Deliver NOTICES=10000 notices three times to eight workers on PostgreSQL
	@NOTICES=$(or $(NOTICES),10000) $(BIN)/python -m tests.faults.crowd

fuzz: $(AUDITED) ## Throw bytes at what strangers reach, SECONDS=60 for each of five targets (TARGET=)
	@$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(TARGET)

audit: $(AUDITED) ## Look through the workflows with zizmor, where there are any
	@if [ -d .github ]; then $(BIN)/zizmor --offline .github; else echo "There is no .github here: nothing to look through."; fi

sbom: .venv ## Write the bill of materials of the locked components to dist/sbom.json
	@$(BIN)/python scripts/sbom.py

kpz: ## Pack the plugin for Koha's OPAC into dist/ (docs/handing-over.md)
	@$(PYTHON) scripts/kpz.py

coverage: .venv ## Measure the branches of money, domain, flows and store that narrow tests take (ARGS="--least 100")
	@$(BIN)/python scripts/coverage_of_rooms.py $(ARGS)

mutate: .venv ## Change the same rooms bit by bit and count what tests notice (ROOMS=, SAMPLE=5 of each module, SEED=)
	@$(BIN)/python scripts/mutate.py --rooms "$(ROOMS)" --sample $(or $(SAMPLE),5) --seed $(or $(SEED),1) $(ARGS)

bench: .venv ## Measure; prints ratios to limits taken in the same run
	@$(BIN)/python benchmarks/run.py $(ARGS)

clean: ## Remove everything that make made
	rm -rf .venv .venv.lock dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv: $(INSTALLED)

$(INSTALLED): pyproject.toml uv.lock scripts/make_venv.py
	@$(PYTHON) scripts/make_venv.py
	@touch $@

$(AUDITED): $(INSTALLED)
	@$(PYTHON) scripts/make_venv.py audit
	@touch $@
