# Everything runs in environments that this file makes: .venv-demo (make demo) and .venv (make test, make lint).
# A sourced ROS 2 is used where there is one, the wheels from PyPI otherwise.

PYTHON ?= python3
ENGINE ?=
PAIR ?=
GT_SCALE ?=
ARGS ?=
WORKERS ?= 2

DEMO_PYTHON := .venv-demo/bin/python
TEST_PYTHON := .venv/bin/python
PIP_INSTALL := -m pip --quiet --disable-pip-version-check install

ROS := $(if $(ROS_DISTRO),$(shell $(PYTHON) -c 'import rclpy' 2>/dev/null && echo $(ROS_DISTRO)))
FLAVOUR := $(if $(ROS),ros-$(ROS),wheels)
ifndef ROS
# Half of a ROS that this Python cannot use would get in the way of the wheels.
unexport PYTHONPATH AMENT_PREFIX_PATH LD_LIBRARY_PATH ROS_DISTRO
endif

$(foreach name,pair engine gt_scale,$(if $(filter command,$(origin $(name))),$(error PAIR=, ENGINE= and GT_SCALE= are in capitals)))

.PHONY: help demo test lint clean check-python

help:  ## This list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

demo: .venv-demo/$(FLAVOUR)  ## A stereo pair through the real node; picture in demo_out/ [PAIR=folder ENGINE=x.onnx GT_SCALE=n]
	@$(DEMO_PYTHON) -m ffs_ros.demo $(if $(ENGINE),--engine '$(ENGINE)') $(if $(PAIR),--pair '$(PAIR)') $(if $(GT_SCALE),--gt-scale '$(GT_SCALE)')

test: .venv/$(FLAVOUR)  ## All tests [ARGS='-k word' WORKERS=2]
	@PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(TEST_PYTHON) -m pytest -p pytest_timeout -p xdist -n $(WORKERS) --dist loadgroup $(ARGS)

lint: .venv/$(FLAVOUR)  ## Style and types
	@$(TEST_PYTHON) -m ruff check .
	@$(TEST_PYTHON) -m ruff format --check .
	@$(TEST_PYTHON) -m mypy

clean:  ## Remove the environments and what was built
	rm -rf .venv .venv-demo build install log demo_out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environments. The file that marks one as finished names what it was made for.

.venv-demo/%: EXTRAS = demo
.venv/%: EXTRAS = demo,onnxruntime,export,train,bag,cluster,test$(if $(filter x86_64,$(shell uname -m)),$(comma)rtx)
comma := ,
INPUTS := setup.py ffs_ros/__init__.py test/constraints.txt Makefile | check-python

.venv-demo/wheels .venv/wheels: $(INPUTS)
	@echo "Making $(@D) with ROS 2 from wheels; this once takes a minute or more ..."
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) -c test/constraints.txt -e '.[ros,$(EXTRAS)]'
	@touch $@

# Beside a ROS from apt nothing may replace its NumPy and OpenCV, which ROS's packages are compiled against. So pip
# installs the extras without the package's own requirements, in whatever versions go with that NumPy.
.venv-demo/ros-$(ROS) .venv/ros-$(ROS): $(INPUTS)
	@echo "Making $(@D) beside ROS 2 $(ROS); this once takes a minute or more ..."
	@rm -rf $(@D) && $(PYTHON) -m venv --system-site-packages $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --no-deps -e .
	@$(@D)/bin/python -c 'import cv2, numpy; print("numpy==" + numpy.__version__)' > $(@D)/constraints.txt || \
	{ echo "make: NumPy or OpenCV is missing beside ROS; type: sudo apt install python3-numpy python3-opencv" >&2; exit 1; }
	@$(@D)/bin/python -c "$$REQUIREMENTS_OF" $(EXTRAS) > $(@D)/requirements.txt
	@$(@D)/bin/python $(PIP_INSTALL) -c $(@D)/constraints.txt -r $(@D)/requirements.txt
	@touch $@

define REQUIREMENTS_OF
import sys
from importlib.metadata import requires
for line in requires("ffs_ros"):
    requirement, _, marker = line.partition(";")
    if marker.strip().replace("'", '"') in [f'extra == "{name}"' for name in sys.argv[1].split(",")]:
        print(requirement)
endef
export REQUIREMENTS_OF

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	{ echo "make: $(PYTHON) is missing or older than Python 3.10; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	{ echo "make: $(PYTHON) cannot make environments; type: sudo apt install python3-venv" >&2; exit 1; }
ifndef ROS
	@[ "$$(uname -s) $$(uname -m)" = "Linux x86_64" ] || \
	{ echo "make: ROS 2 comes as wheels for Linux on x86-64 only; install and source ROS 2 (docs/install.md)" >&2; exit 1; }
endif
