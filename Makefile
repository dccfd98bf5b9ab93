# Two commands do all set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= auto
EXTRAS ?= $(if $(CI),test,dev)
STAMP := $(VENV)/.installed-$(EXTRAS)
DATA := $(patsubst %/pascal_sentences,%,$(firstword $(wildcard ../*/data/pascal_sentences)))

.PHONY: demo browser test numerics faults test-slow test-lowest reliability check types style docs site pictures clean

demo: $(STAMP)  ## install, then the main job on the embedded sample data, and the ladder of what a target may offer
	@echo 'One training: printed glyphs with labels (source) help to search scanned digits (target).'
	$(BIN)/dckt train --encoder vgg19 --sampler ap-progressive
	@echo 'And the ladder: the same search, by what the target offers to learn from.'
	$(BIN)/dckt experiment benchmarks/plans/demo.toml --workers 2 --quiet

# Real data beside the checkout are tested with, where there are any.
test faults test-slow: export DCKT_TEST_DATA ?= $(if $(DATA),$(CURDIR)/$(DATA))

test: $(STAMP)  ## install, then the checks; EXTRAS=test tests all extras, too
	$(MAKE) --no-print-directory --jobs=2 check
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

browser: $(STAMP)  ## Chromium for the tests of pages, where the system has none; asks for the right to install
	$(BIN)/python -m playwright install --with-deps chromium

numerics: $(STAMP)  ## the tests of sums as other processors add them up, with one thread and two
	$(BIN)/python tests/numerics.py

check: types style  ## ruff, mypy, import-linter; with --jobs=2 on two cores

types: $(STAMP)
	$(BIN)/mypy

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

faults: $(STAMP)  ## the tests that kill, stop and starve processes
	$(BIN)/python -m pytest -m 'faults and not slow' -n $(JOBS) --dist worksteal tests/reliability

test-slow: $(STAMP)  ## the tests that take minutes or install distributions
	$(BIN)/python -m pytest -m slow

test-lowest: $(STAMP)  ## the fast tests with the lowest versions that pyproject.toml declares
	$(BIN)/python tests/lowest.py

reliability: $(STAMP)  ## inject all faults, and rewrite docs/reliability.md from what came out
	mkdir -p build
	$(BIN)/python -m tests.reliability.table > build/reliability.md && mv build/reliability.md docs/reliability.md

docs: $(STAMP)  ## rewrite docs/cli.md from --help, docs/reference/configuration.md from the configuration
	$(BIN)/python -m dckt_cli.reference > docs/cli.md
	$(BIN)/python docs/tools/configuration.py > docs/reference/configuration.md

site: $(VENV)/.docs  ## the documentation as a site in site/; a dead link or an undocumented public name fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

pictures: $(STAMP)  ## train on the sample data and take docs/pictures/*.png anew; needs Chromium
	$(BIN)/python docs/tools/pictures.py

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar off -e '.[docs]'
	touch $(VENV)/.docs

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "dckt needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar off -e '.[$(EXTRAS)]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) .venv-lowest build dist site .mypy_cache .ruff_cache .pytest_cache
