# Everything that a fresh checkout needs, without sudo and without a ROS installation:
#   make demo    run the nodes on the bundled clip (SOURCE= video, folder, bag or /dev/video0;
#                SIDE_BY_SIDE=1 shows raw and smoothed beside each other)
#   make test    run all tests (TESTS= some of them)
#   make bench   measure the pipeline and the nodes
#   make soak    run the nodes for MINUTES=10 with faults at random (SEED=, OUT=, ARGS=)
#   make lint    check the style        make docs    write parameters
#   make clean   remove what was built (not out/)  make distclean   also remove .venv
# PYTHON= names another Python than the first that fits.

VENV := .venv
BIN := $(VENV)/bin
SOURCE ?=
SIDE_BY_SIDE ?=
OUT ?= out
TESTS ?=
MINUTES ?= 10
SEED ?=
# Passed on: ARGS= to the demo, the soak and the benchmark, PYTEST_ARGS= to pytest.
ARGS ?=
PYTEST_ARGS ?=
# A test that takes longer than this many seconds fails. The whole run takes about 11 minutes; on a
# machine that is slow or busy it may take longer, and fails only where it hangs.
TEST_TIMEOUT ?= 300
TEST_RUN_TIMEOUT ?= 2700

# With a ROS installation sourced, rclpy and the messages come from there (and want NumPy 1).
ifdef ROS_DISTRO
ROS_EXTRA :=
CONSTRAINTS := requirements/ros-sourced.txt
VENV_ARGS := --system-site-packages
else
ROS_EXTRA := ros,
CONSTRAINTS := requirements/constraints.txt
VENV_ARGS :=
endif

PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11 python3.10; do \
	"$$p" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo "$$p" && break; done)

INSTALLS := setup.py pyproject.toml $(CONSTRAINTS)
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --quiet \
	--constraint $(CONSTRAINTS)

.PHONY: help setup setup-dev demo test bench soak lint docs clean distclean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p; s/^# \(PYTHON=.*\)/\1/p' Makefile

setup: $(RUN_STAMP)

setup-dev: $(DEV_STAMP)

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "infant_pose_ros needs Python 3.10, 3.11, 3.12 or 3.13, and found" \
			"$$(python3 --version 2>&1 || echo none);" \
			"name one: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit( \
		"infant_pose_ros needs Python 3.10 to 3.13, and $(PYTHON) is %d.%d" % v)'
	"$(PYTHON)" -m venv $(VENV_ARGS) $(VENV)

$(RUN_STAMP): $(INSTALLS) | $(BIN)/python
	@echo 'Installing into $(VENV): once, some minutes and 6 GB (PyTorch brings CUDA along) ...'
	$(PIP_INSTALL) --editable '.[$(ROS_EXTRA)demo]'
	@touch $@

$(DEV_STAMP): $(INSTALLS) | $(BIN)/python
	@echo 'Installing into $(VENV): once, some minutes and 6 GB (PyTorch brings CUDA along) ...'
	$(PIP_INSTALL) --editable '.[$(ROS_EXTRA)demo,evaluate,synth,dev]'
	@touch $@ $(RUN_STAMP)

demo: $(RUN_STAMP)
	$(BIN)/infant_pose_demo $(if $(SOURCE),--source '$(SOURCE)') --out '$(OUT)' \
		$(if $(filter-out 0,$(SIDE_BY_SIDE)),--side-by-side) $(ARGS)

soak: $(RUN_STAMP)
	$(BIN)/infant_pose_soak --minutes '$(MINUTES)' $(if $(SEED),--seed '$(SEED)') \
		--out '$(OUT)/soak' $(ARGS)

bench: $(RUN_STAMP)
	$(BIN)/infant-pose bench $(ARGS)

test: $(DEV_STAMP)
	$(BIN)/python -m pytest --timeout=$(TEST_TIMEOUT) --session-timeout=$(TEST_RUN_TIMEOUT) \
		$(PYTEST_ARGS) $(TESTS)

lint: $(DEV_STAMP)
	$(BIN)/ruff check setup.py infant_pose_ros launch test

docs: $(RUN_STAMP)
	$(BIN)/python -m infant_pose_ros.cli.docs .

clean:
	rm -rf build install log *.egg-info .pytest_cache .ruff_cache .hypothesis
	find infant_pose_ros launch test -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
