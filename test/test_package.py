"""What pip installs and what package.xml promises."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from email.message import Message
from email.parser import Parser
from fnmatch import fnmatch
from pathlib import Path
from zipfile import ZipFile

import pytest

import ffs_ros
from ffs_ros.engine.kernel_launches import KERNELS
from ffs_ros.weights import GRAPH, WEIGHTS

# Python packages of ROS that come with another one, and rosdep's names of those that are no ROS packages.
DECLARED_AS = {"builtin_interfaces": "rclpy", "rcl_interfaces": "rclpy", "std_msgs": "sensor_msgs",
               "ament_index_python": "launch_ros", "numpy": "python3-numpy", "cv2": "python3-opencv"}  # fmt: skip
# From pip; rosdep has no keys for them.
OFFLINE = {"torch", "onnx", "onnxruntime", "google", "lightning", "optuna", "yaml", "safetensors", "fsspec",
           "rosbags", "ruamel", "array_api_compat", "pycuda", "ray", "tensorrt", "tensorrt_rtx_libs",
           "tensorrt_rtx_bindings"}  # fmt: skip


@pytest.fixture(scope="module")
def wheel(source_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel that pip builds from the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        source_copy,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ZipFile(next(folder.glob("*.whl")))


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile) -> Message:
    """What the wheel says about itself."""
    return Parser().parsestr(wheel.read(f"ffs_ros-{ffs_ros.__version__}.dist-info/METADATA").decode())


def extra(metadata: Message, name: str) -> set[str]:
    """The requirements of one extra, as ``name>=version`` with other markers dropped."""
    lines = [line.partition(";") for line in metadata.get_all("Requires-Dist", [])]
    return {wanted.strip() for wanted, _, marker in lines if re.search(rf"extra == ['\"]{name}['\"]", marker)}


def manifest(checkout: Path) -> ElementTree.Element:
    """The root of package.xml."""
    return ElementTree.parse(checkout / "package.xml").getroot()


def test_the_version_is_stated_once(checkout, metadata):
    """ffs_ros.__version__, the wheel and package.xml agree."""
    assert metadata["Version"] == ffs_ros.__version__ == manifest(checkout).findtext("version")


def test_the_wheel_carries_what_ros_looks_for(wheel, checkout):
    """Every launch and config file, package.xml and the ament marker land under share/."""
    share = f"ffs_ros-{ffs_ros.__version__}.data/data/share/"
    found = {name.removeprefix(share) for name in wheel.namelist() if name.startswith(share)}
    expected = {"ament_index/resource_index/packages/ffs_ros", "ffs_ros/package.xml"}
    for folder in ("launch", "config"):
        files = [path.name for path in (checkout / folder).iterdir() if path.is_file()]
        assert files, f"{folder}/ is empty"
        expected |= {f"ffs_ros/{folder}/{name}" for name in files}
    assert found == expected


def test_the_wheel_carries_every_module(wheel, checkout):
    """No folder of the package was forgotten."""
    source = {path.relative_to(checkout).as_posix() for path in (checkout / "ffs_ros").rglob("*.py")}
    assert {name for name in wheel.namelist() if name.startswith("ffs_ros/") and name.endswith(".py")} == source


def test_the_wheel_carries_what_ships_as_weights(wheel, source_copy, checkout):
    """Weights, graphs and their card in ffs_ros/weights/ are package data, whether or not they are in this tree."""
    folder = checkout / "ffs_ros" / "weights"
    names = {path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
    assert {name.rpartition("/")[2] for name in wheel.namelist() if name.startswith("ffs_ros/weights/")} == {
        "__init__.py", *names,
    }  # fmt: skip
    program = (
        "import runpy, setuptools; setuptools.setup = lambda **facts: print(facts['package_data']);"
        "runpy.run_path('setup.py')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=source_copy, capture_output=True, text=True, check=True)
    patterns = ast.literal_eval(done.stdout)["ffs_ros.weights"]
    for name in {*names, GRAPH.name, WEIGHTS.name}:
        assert any(fnmatch(name, pattern) for pattern in patterns), name


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
def test_the_wheel_carries_the_kernels(wheel, checkout):
    """Each with what it is compiled to."""
    folder = "ffs_ros/engine/kernels/"
    expected = {path.name for path in (checkout / folder).iterdir()}
    assert {name.removeprefix(folder) for name in wheel.namelist() if name.startswith(folder)} == expected
    assert {path.partition(".")[0] for path in expected if path.endswith(".ptx.gz")} == {*KERNELS}


@pytest.mark.skipif(not GRAPH.is_file(), reason="no weights ship yet")
def test_an_installed_package_opens_its_weights(wheel, tmp_path):
    """Unpacked somewhere else, the wheel's own weights run."""
    wheel.extractall(tmp_path)
    program = (
        "import ffs_ros.weights, numpy; from ffs_ros.engine import open_engine; print(ffs_ros.weights.GRAPH);"
        "image = numpy.zeros((1, 32, 64, 3), 'uint8'); engine = open_engine(ffs_ros.weights.SYNTHETIC, gpu_index=None);"
        "print(engine.infer({'left': image, 'right': image})['disparity'].shape)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [str(tmp_path / "ffs_ros" / "weights" / GRAPH.name), "(1, 1, 32, 64)"], done


def test_the_executables_name_functions_that_exist(wheel, checkout):
    """``ffs`` and ``stereo_node`` point at a function ``main`` of a module of this package."""
    text = wheel.read(f"ffs_ros-{ffs_ros.__version__}.dist-info/entry_points.txt").decode()
    scripts = dict(re.findall(r"^(\w+) = (\S+)$", text, re.MULTILINE))
    assert scripts == {"ffs": "ffs_ros.__main__:main", "stereo_node": "ffs_ros.ros:main"}
    for target in scripts.values():
        module, function = target.split(":")
        file = checkout / module.replace(".", "/")
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_full_is_every_extra_that_runs_without_a_gpu(metadata):
    """``full`` holds ros, onnxruntime, demo, rtx, export, bag, test, and nothing of train, cluster and tensorrt."""
    parts = [extra(metadata, name) for name in ("ros", "onnxruntime", "demo", "rtx", "export", "bag", "test")]
    assert all(parts)
    assert extra(metadata, "full") == set.union(*parts)
    assert extra(metadata, "tensorrt") == {"tensorrt>=8.6", "pycuda>=2022.1", "onnx>=1.16", "pyyaml>=5.4"}
    assert not extra(metadata, "full") & {"tensorrt>=8.6", "pycuda>=2022.1"}
    assert {"train", "cluster"} <= set(metadata.get_all("Provides-Extra", []))


def test_jetpack_keeps_its_own_tensorrt(metadata):
    """On Arm the extra ``tensorrt`` installs no wheel of TensorRT, which would hide the one of JetPack."""
    line = next(line for line in metadata.get_all("Requires-Dist", []) if line.startswith("tensorrt>="))
    assert re.search(r"platform_machine != ['\"]aarch64['\"]", line)


def test_the_constraints_hold_every_requirement_of_full_train_and_cluster(metadata, checkout):
    """Each direct requirement that CI installs has an exact version, and no constraint is stale."""
    lines = (checkout / "test" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0]: line.partition("==")[2] for line in lines if line and not line.startswith("#")}
    assert all(pins.values()), "every constraint is exact"
    assert pins["torch"] == "2.13.0"
    wanted = {line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    for name in ("full", "train", "cluster"):
        wanted |= extra(metadata, name)
    direct = {re.split(r"[\[>]", line)[0] for line in wanted}
    held_for_others = {"ros-rmw-fastrtps-cpp", "protobuf"}
    assert set(pins) == direct | held_for_others


def test_package_xml_declares_every_ros_package_that_is_imported(checkout):
    """What the sources and launch files import from ROS, NumPy and OpenCV is a dependency rosdep can install."""
    declared = {node.text for node in manifest(checkout) if node.tag.endswith("depend")}
    for path in [*(checkout / "ffs_ros").rglob("*.py"), *(checkout / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in {name.partition(".")[0] for name in names} - {"ffs_ros", *sys.stdlib_module_names} - OFFLINE:
                assert DECLARED_AS.get(top, top) in declared, f"{path.name} imports {top}"


def test_package_xml_declares_what_a_robot_needs(checkout):
    """Format 3, ament_python, Apache-2.0, and the dependencies of the node, its launch file and its tests."""
    root = manifest(checkout)
    assert root.get("format") == "3"
    assert root.findtext("license") == "Apache-2.0"
    assert root.findtext("export/build_type") == "ament_python"
    runs = {node.text for node in root.iter("exec_depend")}
    assert {"rclpy", "message_filters", "sensor_msgs", "stereo_msgs", "diagnostic_msgs", "launch",
            "launch_ros", "python3-numpy", "python3-opencv"} <= runs  # fmt: skip
    assert {"launch_testing", "python3-pytest"} == {node.text for node in root.iter("test_depend")}


def test_the_top_level_holds_nothing_else(checkout):
    """Beside dot files and documents the repository has exactly the entries of an ament_python package and its docs."""
    if not (checkout / ".git").exists():
        pytest.skip("no git checkout: the list of tracked files is what this test reads")
    done = subprocess.run(["git", "ls-files"], cwd=checkout, capture_output=True, text=True, check=True)
    entries = {line.split("/")[0] for line in done.stdout.splitlines()}
    documents = {"README.md", "LICENSE", "CHANGELOG.rst"}
    assert {name for name in entries if not name.startswith(".")} - documents == {
        "package.xml", "setup.py", "setup.cfg", "pyproject.toml", "Makefile",
        "ffs_ros", "launch", "config", "engines", "test", "resource", "docs", "docker",
    }  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("colcon_ros") is None, reason="colcon is not installed (extra 'test')")
@pytest.mark.parametrize("options", [(), ("--symlink-install",)], ids=["copied", "symlinked"])
def test_colcon_builds_the_package(source_copy, tmp_path, options):
    """In a ROS workspace the executables land in lib/ffs_ros, launch and config files in share/ffs_ros; ffs runs."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ffs_ros").symlink_to(source_copy)
    build = [sys.executable, "-m", "colcon", "--log-base", "log", "build", *options]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    root = tmp_path / "install" / "ffs_ros"
    assert {path.name for path in (root / "lib" / "ffs_ros").iterdir()} == {"ffs", "stereo_node"}
    for folder in ("launch", "config"):
        installed = {path.name for path in (root / "share" / "ffs_ros" / folder).iterdir()}
        assert installed == {path.name for path in (source_copy / folder).iterdir()}
    assert (root / "share" / "ament_index" / "resource_index" / "packages" / "ffs_ros").is_file()
    command = f". {tmp_path}/install/local_setup.sh && {root}/lib/ffs_ros/ffs --version"
    ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == (f"ffs {ffs_ros.__version__}\n", 0), ran.stderr
