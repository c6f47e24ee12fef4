# What a contributor needs; `make` alone says what there is.

PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
BENCH := .benchmarks/venv
MODELS := .testmodels

# A third test process fills what two cores wait; a larger machine may take more: make test JOBS=12
JOBS ?= 3

.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r name words; do printf '  make %-12s %s\n' "$$name" "$$words"; done

.PHONY: install
install: .venv/.contributor ## Make .venv with Grange (editable) and all tools of a contributor

.venv/.user: pyproject.toml constraints.txt hatch_build.py src/grange/server/web/package-lock.json
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable .
	@touch $@

.venv/.contributor: .venv/.user
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[postgresql,mysql,redis,memcached,pandas,s3,dlc,rabbitmq]' --group dev
	@# Only its validator is wanted, none of the frameworks that its models need.
	@$(BIN)/pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --no-deps megadetector
	@touch $@

.PHONY: upgrade
upgrade: ## Take the newest versions that pyproject.toml allows, and write them down
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager \
	  --editable '.[postgresql,mysql,redis,memcached,pandas,s3,dlc,rabbitmq]' --group dev
	@sed -n '/^#/p' constraints.txt >constraints.new
	@$(BIN)/pip freeze --exclude-editable | sed '/^#/d; /^-e/d' >>constraints.new
	@mv constraints.new constraints.txt

.PHONY: demo
demo: .venv/.user ## Film synthetic animals, look for them, and show where the report is
	@$(BIN)/python -m training.clips $(DEMO)/clips
	@code=0; GRANGE_HOME=$(DEMO)/home $(BIN)/grange run wildlife $(DEMO)/clips \
	  --out $(DEMO)/wildlife || code=$$?; \
	case $$code in \
	  0) ;; \
	  3) echo "One clip is damaged on purpose: the report says what is wrong with it." ;; \
	  *) exit $$code ;; \
	esac
	@echo "What was found: $(DEMO)/wildlife/report/review.html"
	@echo "How it went:    $(DEMO)/wildlife/report.html"
	@echo "The run:        GRANGE_HOME=$(DEMO)/home $(BIN)/grange runs list"

.PHONY: check
check: install ## Check style, types and who imports whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test
test: install compiled ## Run all tests, with real databases where they are installed
	@# Tests of a module stay together as long as possible, since they share servers.
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m 'not ray and not faults and not long'

# Tests start thousands of processes. Where Python may keep nothing by itself, each would
# compile all of Grange anew.
.PHONY: compiled
compiled: install
	@$(BIN)/python -m compileall -q src

.PHONY: test-ray
test-ray: install compiled ## Test the engine for Ray on a cluster of its own, which takes minutes
	@$(BIN)/pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[ray]'
	$(BIN)/pytest -m ray

.PHONY: test-faults
test-faults: install compiled ## Do every fault to a site of several machines, which takes long
	$(BIN)/pytest -m faults --timeout 300

.PHONY: test-long
test-long: install compiled ## Test what takes minutes each: a mirrored file system, benchmarks of scale
	$(BIN)/pytest -m long --timeout 300

# The seed of an earlier soak does the same things in the same order: make soak SEED=42
MINUTES ?= 20

.PHONY: soak
soak: install ## Let things happen to a site of several machines by chance, for MINUTES
	$(BIN)/python -m tests.soak $(MINUTES) $(SEED)

.PHONY: test-wheel
test-wheel: install ## Build the wheel and test it where src can't be seen
	PYTHON=$(BIN)/python tests/wheel.sh

# Apart from .venv and from each other: 7 GB each.
$(MODELS)/%/.ready: pyproject.toml
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(@D)/bin/pip install --quiet --disable-pip-version-check \
	  --editable '.[wildlife-$*]' onnx onnxslim pytest pytest-timeout
	@touch $@

.PRECIOUS: $(MODELS)/%/.ready

.PHONY: test-models
test-models: $(MODELS)/pytorch/.ready $(MODELS)/deeplabcut/.ready ## Test models that PytorchWildlife and DeepLabCut run
	$(MODELS)/pytorch/bin/python -m pytest tests/field_models --timeout 600 -o filterwarnings=default
	$(MODELS)/deeplabcut/bin/python -m pytest tests/field_models --timeout 600 -o filterwarnings=default

.PHONY: docs
docs: install ## Make the reference pages from the code, then the site in site/
	$(BIN)/python docs/generate.py
	$(BIN)/mkdocs build --strict --quiet

# Apart from .venv: what models are trained with is heavy.
.training/.ready: pyproject.toml
	@test -x .training/bin/python || $(PYTHON) -m venv .training
	@.training/bin/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@.training/bin/pip install --quiet --disable-pip-version-check --editable . --group training
	@touch $@

.PHONY: train
train: .training/.ready ## Train the reference models anew, and measure them
	.training/bin/python -m training all

# Apart from .venv: what Grange is compared with is heavy.
$(BENCH)/.ready: pyproject.toml
	@test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BENCH)/bin/pip install --quiet --disable-pip-version-check --editable . --group bench
	@touch $@

.PHONY: bench
bench: $(BENCH)/.ready ## Measure speed side by side with others (see benchmarks/)
	$(BENCH)/bin/python -m benchmarks

.PHONY: clean
clean: ## Remove what these commands made, but for .venv
	rm -rf build dist site $(DEMO) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests examples docs benchmarks -name __pycache__ -prune -exec rm -rf {} +
