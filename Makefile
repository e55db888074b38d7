PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
# One worker per core, up to eight, each with one thread.
TESTS := OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 8 --dist worksteal
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test test-fast test-all test-slurm lint docs figures table bench gpu lock clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## create .venv with everything (6.6 GB, most of it torch with CUDA)

# --no-deps, because requirements.lock lists every package; see its first lines.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --no-deps -r requirements.lock
	$(PY) -m pip install --quiet --no-deps -e .
	@touch $@

demo: setup ## certify three faces, two photographs and a mask (2 minutes on 2 CPU cores), and draw them on one page
	$(PY) certify.py
	$(PY) certify.py experiment=demo_photos
	$(PY) certify.py experiment=demo_person
	$(PY) plot.py source='[results/demo,results/demo_photos,results/demo_person]' figures.only='[center_faces_boxes,photographs,person_masks]' figures.root=figures/demo

test: setup ## run the tests, without the slow and the GPU ones
	$(TESTS) -m "not slow and not gpu and not slurm"

test-fast: setup ## run the quick tests of the library and the configuration, in under a minute
	$(TESTS) -m "not long and not slow and not gpu and not slurm" tests/smoothing tests/experiments/config tests/test_house.py

test-all: setup ## run every test, also the slow ones; GPU tests are skipped without a GPU
	$(TESTS) -m "not slurm"

test-slurm: setup ## start a one-node Slurm cluster and run a sweep on it; as root on Debian, else skipped
	$(PY) -m pytest -s -m slurm

lint: setup ## run ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: setup ## build the documentation site in site/ and check its links
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet

figures: setup ## draw every figure that results/ holds data for; write REPORT.md and the tables of docs/; certifies nothing
	$(PY) plot.py
	@cp figures/REPORT.md REPORT.md
	$(PY) -m experiments.documents

table: setup ## summarize the tables of one run or several: make table RUN=results/digits_gaussian
	@$(PY) plot.py 'table="$(or $(RUN),$(error RUN is not set; use make table RUN=results/digits_gaussian))"'

bench: setup ## compare the speed of certificates with plain code of the published procedures; writes docs/bench.txt
	$(PY) -m experiments.benchmarks.speed

gpu: setup ## check and measure everything on a GPU in ten minutes; writes docs/gpu/; nothing without a GPU
	$(PY) -m experiments.benchmarks.gpu

lock: setup ## write the versions installed in .venv to requirements.lock
	@head -3 requirements.lock > requirements.lock.partial
	@$(PY) -m pip freeze --exclude-editable | sed -E "s/^((nvidia|cuda)-[^=]*==[^ ]+|triton==[^ ]+)$$/\1 ; sys_platform == 'linux'/" >> requirements.lock.partial
	@mv requirements.lock.partial requirements.lock

clean: ## remove the environment, figures and builds; keep results
	rm -rf $(VENV) figures site build *.egg-info
