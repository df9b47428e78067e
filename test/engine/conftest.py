"""The kernels as a library for the CPU, where a C++ compiler is found."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HALVES = "int main(int n, char**) { return static_cast<_Float16>(n) > 9; }"
OPTIONS = (
    "-std=c++17", "-O1", "-g", "-fPIC", "-shared", "-fno-strict-aliasing", "-ffp-contract=off", "-fsanitize=alignment",
    "-fno-sanitize-recover=alignment", "-static-libubsan",
)  # fmt: skip


@pytest.fixture(scope="session")
def kernels_on_cpu(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """A CUDA driver without a GPU that runs the package's kernels. Misaligned accesses end the process."""
    compiler, folder = shutil.which("g++"), tmp_path_factory.mktemp("kernels")
    if compiler is None:
        pytest.skip("no g++")
    probe = [compiler, *OPTIONS, "-x", "c++", "-", "-o", str(folder / "probe.so")]
    if subprocess.run(probe, input=HALVES, text=True, capture_output=True, check=False).returncode:
        pytest.skip("this g++ has no halves, or no sanitizer")
    driver, kernels = checkout / "test" / "kernels_on_cpu", checkout / "ffs_ros" / "engine" / "kernels"
    library = folder / "libcuda.so"
    command = [compiler, *OPTIONS, f"-I{driver}", f"-I{kernels}", str(driver / "driver.cpp"), "-o", str(library)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return library
