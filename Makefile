# Two commands on a fresh clone: make quickstart, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: setup setup-dev setup-quantize setup-web setup-llamacpp quickstart test lint bench bench-peers docs-check clean

setup: $(VENV)/.setup
setup-dev: $(VENV)/.setup-dev

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tunesmith needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.setup: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing Tunesmith into $(VENV) (about a minute, 1.5 GB) …"
	$(PIP) -e .
	@touch $@

$(VENV)/.setup-dev: $(VENV)/.setup
	$(PIP) -e '.[dev]'
	@touch $@

# llm-compressor needs another transformers than we do; export calls it in this environment.
setup-quantize: .venv-quantize/.setup

.venv-quantize/.setup: constraints-quantize.txt
	$(PYTHON) -m venv .venv-quantize
	@echo "Installing llm-compressor into .venv-quantize (about a minute, 1.5 GB) …"
	.venv-quantize/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-quantize.txt llmcompressor
	@touch $@

# The runtime of the page that runs a model in the browser; a wheel that is built afterwards carries it.
WEB := src/tunesmith/export/web
setup-web: $(WEB)/node_modules/.package-lock.json

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	cd $(WEB) && npm ci
	@touch $@

# llama.cpp comes as source: the wheel that is built once (5 to 10 minutes) is kept. It needs none of its dependencies.
WHEELS := $(HOME)/.cache/tunesmith/wheels
setup-llamacpp: setup
	$(BIN)/python -c 'import importlib.util as u; raise SystemExit(u.find_spec("llama_cpp") is None)' || { \
	  ls $(WHEELS)/llama_cpp_python-*.whl >/dev/null 2>&1 || $(PIP:install=wheel) --no-deps -w $(WHEELS) llama-cpp-python; \
	  $(PIP) gguf && $(PIP) --no-deps $(WHEELS)/llama_cpp_python-*.whl; }

quickstart: setup
	$(BIN)/tunesmith quickstart

test: setup-dev
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n 2 --dist loadfile

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup-dev bench-peers
	$(BIN)/python -m bench.sft
	$(BIN)/python -m bench.data --quick

# The peers live in an environment of their own, so that they cannot change what we run with.
bench-peers: .venv-peers/.setup .venv-peers-llamafactory/.setup

.venv-peers/.setup: constraints.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt 'trl>=1.0' datasets
	@touch $@

# LLaMA-Factory needs an older transformers, and little of what it declares (torchaudio, torchvision, gradio) to tune.
FACTORY := .venv-peers-llamafactory
$(FACTORY)/.setup: constraints-llamafactory.txt
	$(PYTHON) -m venv $(FACTORY)
	$(FACTORY)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-llamafactory.txt \
	  torch transformers trl peft accelerate datasets omegaconf pillow
	$(FACTORY)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-llamafactory.txt \
	  --no-deps llamafactory
	@touch $@

docs-check: setup-dev
	$(BIN)/python docs/check.py

clean:
	rm -rf $(VENV) build dist src/*.egg-info
