"""The package for pip and for colcon (ament_python). Extras state minimum versions, test/constraints.txt exact ones."""

import re
from pathlib import Path

from setuptools import find_packages, setup

NAME = "ffs_ros"
HERE = Path(__file__).resolve().parent

EXTRAS = {
    "ros": [  # wheels of ROS 2 for x86-64; a robot takes these from apt
        "ros-rclpy[fastrtps]>=9.1",
        "ros-lifecycle-msgs>=2.3",
        "ros-sensor-msgs>=5.5",
        "ros-stereo-msgs>=5.5",
        "ros-diagnostic-msgs>=5.5",
    ],
    # PyYAML, here and below, is for TAO's specs (-e SPEC.yaml).
    "onnxruntime": ["onnxruntime>=1.17", "pyyaml>=5.4"],
    # JetPack brings its own TensorRT, which a wheel in the same environment would hide.
    # onnx takes a graph apart before it is built; without it a build takes minutes more.
    "tensorrt": ["tensorrt>=8.6; platform_machine != 'aarch64'", "pycuda>=2022.1", "onnx>=1.16", "pyyaml>=5.4"],
    "rtx": ["tensorrt-rtx>=1.0", "pyyaml>=5.4"],
    "export": ["torch>=2.4", "onnx>=1.16", "onnxruntime>=1.17", "safetensors>=0.4", "pyyaml>=5.4"],
    "demo": ["onnxruntime>=1.17", "array-api-compat>=1.8"],  # what `make demo` runs with
    "bag": ["rosbags>=0.11.6"],  # the first that looks at the checksums of MCAP's chunks
    "train": [
        "torch>=2.4",
        "lightning>=2.6",
        "tensorboard>=2.14",
        "optuna>=3.5",
        "safetensors>=0.4",
        "array-api-compat>=1.8",
        "pyyaml>=5.4",
    ],
    "cluster": ["ray>=2.9", "fsspec[http]>=2023.10"],
    "test": [
        "pytest>=7.4",
        "pytest-timeout>=2.2",
        "pytest-xdist>=3.5",
        "hypothesis>=6.80",
        "pyyaml>=5.4",
        "ruff>=0.6",
        "mypy>=1.10",
        "setuptools>=70.1",  # the first that builds wheels without the package wheel
        "colcon-core>=0.15",
        "colcon-ros>=0.4",
    ],
}
RUNS_WITHOUT_A_GPU = ("ros", "onnxruntime", "demo", "rtx", "export", "bag", "test")


def version() -> str:
    """The version that ffs_ros/__init__.py states, read without importing the package."""
    text = (HERE / NAME / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE).group(1)


def files(pattern: str) -> list[str]:
    """Files of the source tree, relative to it, as setuptools wants them."""
    return sorted(path.relative_to(HERE).as_posix() for path in HERE.glob(pattern) if path.is_file())


setup(
    name=NAME,
    version=version(),
    description="Fast-FoundationStereo depth for robots: a ROS 2 node and the offline tools around it",
    license="Apache-2.0",
    author="ffs_ros maintainers",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={
        f"{NAME}.weights": ["*.safetensors", "*.onnx", "*.json", "*.md"],
        f"{NAME}.engine": ["kernels/*.ptx.gz", "kernels/*.cu", "kernels/*.cuh"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", files("launch/*.launch.py")),
        (f"share/{NAME}/config", files("config/*")),
    ],
    install_requires=["numpy>=1.21", "opencv-python-headless>=4.5"],
    extras_require={**EXTRAS, "full": sorted({line for name in RUNS_WITHOUT_A_GPU for line in EXTRAS[name]})},
    entry_points={"console_scripts": ["ffs = ffs_ros.__main__:main", "stereo_node = ffs_ros.ros:main"]},
    zip_safe=False,
)
