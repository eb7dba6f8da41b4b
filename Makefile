# Two targets are for newcomers and do all their own set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint types bench clean help

help:  ## show this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/.core  ## balance the cart-pole with four agents and say who won (under 2 minutes)
	rm -rf out/demo
	$(BIN)/pcctrl compare pcctrl/CartPole-v0 --agents aif lqg-tuned lqg pid --seeds 20 --out out/demo

test: $(VENV)/.dev  ## run the tests (under 5 minutes)
	$(BIN)/pytest -n 2

lint: $(VENV)/.dev  ## lint and check the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## check types of the working tree
	$(BIN)/mypy pcctrl tests

bench: $(VENV)/.core  ## make the tables of docs/benchmarks.md again (hours; flight needs PCCTRL_DATA)
	for name in limits loops shocks presets pendulum cheetah arm cruise arm7 quadrotor lightdark swingup pusher flight speed encoders realtime; do $(BIN)/pcctrl bench $$name || exit; done

clean:  ## remove the environment and all output
	rm -rf $(VENV) out build dist *.egg-info

$(VENV)/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("pcctrl needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@echo "Setting up $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@$(PIP) -e '.[dev]'
	@touch $@
