"""Who may import whom: the core stays free of ROS, torch and runtimes, and starts fast."""

from __future__ import annotations

import ast
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import ffs_ros

SOURCE = Path(ffs_ros.__file__).parent
FILES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
LONGEST_FILE_lines = 350


class Part(NamedTuple):
    """What the files of one folder may import beside the standard library and their own folder."""

    at_import: set[str]
    """Packages at the top of a file."""
    where_used: set[str]
    """Packages that are imported inside the functions that need them, or for type checkers only."""
    project: set[str]
    """Other folders of this package."""


ROS = {"rclpy", "builtin_interfaces", "std_msgs", "sensor_msgs", "stereo_msgs", "diagnostic_msgs", "lifecycle_msgs",
       "rcl_interfaces", "message_filters", "ament_index_python"}  # fmt: skip
PARTS = {  # a folder, or a file that has rules of its own
    "": Part({"numpy", "cv2"}, set(), set()),
    "storage.py": Part(set(), {"fsspec"}, set()),
    "matcher.py": Part({"numpy"}, set(), {"engine"}),
    "proof.py": Part({"numpy"}, set(), {"engine"}),
    "live_engine.py": Part({"numpy"}, set(), {"engine"}),
    "watched_engine.py": Part({"numpy", "cv2"}, set(), {"engine"}),
    "checkpoint": Part({"numpy"}, set(), {""}),
    "engine": Part({"numpy", "cv2"}, set(), {"", "weights"}),
    "engine/onnxrt.py": Part({"numpy"}, {"onnxruntime"}, {"", "weights"}),
    "engine/cuda.py": Part({"numpy"}, {"pycuda"}, {""}),
    "network": Part({"torch", "numpy"}, set(), {""}),
    "graph": Part({"numpy", "onnx"}, set(), {"", "checkpoint"}),
    "cluster.py": Part({"cv2"}, {"ray"}, set()),
    "batch": Part({"numpy"}, set(), {"", "engine", "evaluation"}),
    "evaluation": Part({"numpy", "cv2"}, set(), {"", "engine"}),
    "scene": Part({"numpy"}, {"array_api_compat"}, {""}),
    "spec": Part(set(), set(), {"", "engine"}),
    "spec/yaml_file.py": Part({"yaml"}, set(), {"", "spec"}),
    "training": Part(
        {"torch", "lightning", "numpy", "cv2", "array_api_compat", "optuna"},
        {"safetensors"},
        {"", "checkpoint", "network", "scene", "spec"},
    ),
    "ros": Part({"numpy", "cv2"} | ROS, set(), {"", "engine"}),
    "ros/doctor": Part({"numpy", "cv2"} | ROS, set(), {"", "ros"}),
    "launching": Part({"launch", "launch_ros", "lifecycle_msgs", "ament_index_python", "yaml"}, set(), {"", "ros"}),
    "ros/doctor/verb.py": Part(set(), set(), {"", "ros"}),  # a verb of ffs lives here, since tools stay free of ROS
    "bag": Part({"numpy", "rosbags", "ruamel"}, set(), {"", "evaluation"}),
    "tools": Part(
        {"numpy", "cv2"},
        {"onnx", "google"},
        {"", "bag", "batch", "checkpoint", "engine", "evaluation", "graph", "network", "spec", "training", "weights"},
    ),
    "demo": Part({"numpy", "cv2"} | ROS, set(), {"", "engine", "ros", "scene"}),
    "weights": Part(set(), set(), set()),
}
RUNTIMES = {path.stem for path in SOURCE.glob("engine/*.py")} - {"__init__", "contract", "folder", "manifest", "recipe"}


class Import(NamedTuple):
    """One import statement."""

    module: str
    line: int
    delayed: bool
    """Not run when the file is imported."""


def imports_of(folder: str, text: str) -> list[Import]:
    """Every module that a source text in ``folder`` imports; ``from a import b`` counts as ``a.b``."""
    package = ".".join(filter(None, ("ffs_ros", folder)))
    found: list[Import] = []

    def visit(node: ast.AST, delayed: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, delayed) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, (package.rsplit(".", node.level - 1)[0] if node.level else "", node.module)))
            found.extend(Import(f"{base}.{alias.name}", node.lineno, delayed) for alias in node.names)
        for_type_checkers = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        delayed = delayed or for_type_checkers or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, delayed)

    visit(ast.parse(text), delayed=False)
    return found


def wrong_arrows(file: str, text: str) -> list[str]:
    """A sentence for each import in ``file`` (relative to the package) that its folder may not have."""
    folder = file.rpartition("/")[0]
    part = PARTS.get(file, PARTS[folder])
    wrong = []
    for module, line, delayed in imports_of(folder, text):
        top, *below = module.split(".")
        if top in sys.stdlib_module_names:
            continue
        if top == "ffs_ros":
            target = below[0] if below[0] in PARTS else ""
            allowed = target in (folder, *part.project)
            if target == "engine" and folder not in ("engine", "tools"):  # open_engine chooses the runtime
                allowed = allowed and not RUNTIMES.intersection(below[1:])
        else:
            allowed = top in part.at_import or (delayed and top in part.where_used)
        if not allowed:
            wrong.append(f"ffs_ros/{file}:{line} imports {module}, which this part of the package stays free of")
    return wrong


@pytest.mark.parametrize("file", FILES)
def test_no_arrow_points_the_wrong_way(file):
    """Each file imports only what its folder may lean on."""
    assert wrong_arrows(file, (SOURCE / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("geometry.py", "import torch"),
        ("geometry.py", "from ffs_ros.engine import open_engine"),
        ("wire.py", "import sensor_msgs.msg"),
        ("wire.py", "import cv_bridge"),
        ("compressed.py", "def f():\n    import sensor_msgs.msg"),
        ("cli.py", "from ffs_ros.tools import infer"),
        ("matcher.py", "from ffs_ros.network import model"),
        ("engine/onnxrt.py", "import onnxruntime"),
        ("engine/sgbm.py", "def f():\n    import onnxruntime"),
        ("network/model.py", "import onnx"),
        ("ros/node.py", "from ffs_ros.tools import export"),
        ("ros/node.py", "from ffs_ros import network"),
        ("ros/node.py", "from ffs_ros.engine import sgbm"),
        ("ros/node.py", "import launch"),
        ("ros/node.py", "from ffs_ros.launching import rviz"),
        ("launching/rviz.py", "from ffs_ros.engine import open_engine"),
        ("checkpoint/table.py", "from ..network.model import FastFoundationStereo"),
        ("tools/infer.py", "def f():\n    import rclpy"),
        ("tools/infer.py", "from ffs_ros.ros.doctor import visit"),
        ("ros/doctor/verb.py", "import rclpy"),
        ("tools/export.py", "import torch"),
        ("tools/bag.py", "import rosbags"),
        ("bag/replay.py", "import rclpy"),
        ("bag/replay.py", "from ffs_ros.ros import messages"),
        ("network/model.py", "from ffs_ros.training import loss"),
        ("spec/train.py", "import torch"),
        ("spec/train.py", "import yaml"),
        ("spec/model.py", "from ffs_ros.graph.form import MAX_DISPARITY_px"),
    ],
)
def test_a_wrong_arrow_is_found(file, line):
    """The rule above is not empty: each of these imports is refused."""
    assert len(wrong_arrows(file, line)) == 1


@pytest.mark.parametrize("file", FILES)
def test_a_file_holds_one_idea(file):
    """No source file is longer than what one reads in one go."""
    assert len((SOURCE / file).read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE_lines


def test_no_file_of_tests_is_empty():
    """One was once emptied by mistake, and everything stayed green."""
    tests = Path(__file__).parent.rglob("test_*.py")
    assert [str(file) for file in tests if "def test_" not in file.read_text(encoding="utf-8")] == []


HIDDEN = ("rclpy", "torch", "lightning", "onnxruntime", "onnx", "tensorrt", "tensorrt_rtx", "pycuda", "yaml",
          "safetensors", "rosbags")  # fmt: skip


def run_without(hidden: tuple[str, ...], statement: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a statement in a new interpreter that cannot import ``hidden``; what it said, and its processor seconds."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({hidden!r}))"
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", f"{hide}; {statement}"],
        capture_output=True, text=True, env={**os.environ, "COLUMNS": "120"}, check=False,
    )  # fmt: skip
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime


@pytest.mark.parametrize(
    "statement",
    [
        "import ffs_ros",
        "from ffs_ros.cli import main; main(['--help'])",
        "from ffs_ros.cli import main; main(['infer', '--help'])",
        "from ffs_ros.cli import main; main(['export', '--help'])",
        "from ffs_ros.cli import main; main(['inspect', '--help'])",
        "from ffs_ros.cli import main; main(['train', '--help'])",
        "from ffs_ros.cli import main; main(['spec', 'train'])",
        "from ffs_ros.cli import main; main(['build-engine', '--help'])",
        "from ffs_ros.cli import main; main(['bench', '--help'])",
        "from ffs_ros.cli import main; main(['bag', '--help'])",
        "from ffs_ros.cli import main; main(['doctor', '--help'])",
        "from ffs_ros.cli import main; main(['eval', '--help'])",
        "from ffs_ros.cli import main; main(['compare', '--help'])",
        "import ffs_ros.matcher",
    ],
)
def test_the_core_needs_numpy_and_opencv_only(statement):
    """Importing the core and asking for help works where no runtime, torch or ROS is installed."""
    done, _ = run_without(HIDDEN, statement)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("statement", ["import ffs_ros", "from ffs_ros.cli import main; main(['--help'])"])
def test_the_command_starts_in_half_a_second(statement):
    """Of a processor's time, which other work does not lengthen; the best of three starts, interpreter included."""
    assert min(run_without((), statement)[1] for _ in range(3)) < 0.5
