# Two commands do everything on a fresh machine: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# Compiled modules are kept: hundreds of short processes would each compile what they import anew, 2.5 s of torch alone.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-browser gallery test-all lint docs wheel gpu clean help

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(STAMP): pyproject.toml constraints.txt
	@echo "== setting up $(VENV) (a few GB the first time; uv is used where present)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null 2>&1; then uv pip install -q --python $(PY) -c constraints.txt -e '.[dev]'; \
	 else $(PY) -m pip install -q --disable-pip-version-check -c constraints.txt uv && \
	      $(PY) -m uv pip install -q --python $(PY) -c constraints.txt -e '.[dev]'; fi
	@touch $(STAMP)

demo: $(STAMP)  ## the whole story on embedded material, one HTML page in demo-out/
	$(VENV)/bin/gioconda demo --out demo-out --force

test: $(STAMP)  ## unit, property, golden and end-to-end tests: CPU, offline
	$(PY) -m pytest

test-slow: $(STAMP)  ## the tests that take minutes
	$(PY) -m pytest -m 'slow and not gpu and not weights and not browser'

test-browser: $(STAMP)  ## the page, driven in headless Chromium
	$(PY) -m pytest -m browser

gallery: $(STAMP)  ## the local page's pictures in docs/gallery, made anew by driving it
	GIOCONDA_GALLERY=docs/gallery $(PY) -m pytest -n 0 -m browser tests/e2e/test_browser.py

test-all: $(STAMP)  ## quick, slow and browser tests in one run, so that no process waits for another at the end
	$(PY) -m pytest -m 'not gpu and not weights'

lint: $(STAMP)  ## ruff, mypy (strict where promised), import contracts
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(STAMP)  ## the documentation site in docs/_build
	$(PY) docs/generate.py
	$(PY) -m sphinx -q -W -b html docs docs/_build

wheel: $(STAMP)  ## build the wheel and check what is in it
	$(PY) -m build --wheel --outdir dist .
	$(PY) -m pytest -m slow tests/e2e/test_wheel.py

gpu: $(STAMP)  ## GPU tests, speed, training, a labelled set and evaluation on one GPU, under 25 minutes, into gpu-out/
	$(PY) -m benchmarks.gpu --out gpu-out

clean:  ## remove everything made here
	rm -rf $(VENV) build dist demo-out docs/_build *.egg-info
