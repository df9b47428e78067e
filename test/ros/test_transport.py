"""The transport profile: found in every kind of installation, given to whoever has none, missed in a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ffs_ros.errors import FileError
from ffs_ros.ros import transport
from ffs_ros.ros.transport import (
    environment,
    lost_images_remedy,
    profile_path,
    profile_warning,
    publish_from_a_thread,
)

FAST_DDS = "rmw_fastrtps_cpp"
DDS = {"dds": "http://www.eprosima.com"}


def test_the_source_tree_has_its_own_profile(checkout):
    """In a checkout the profile is the one in config/."""
    assert profile_path() == checkout / "config" / "fastdds_large_images.xml"


def test_the_node_publishes_from_a_thread_unless_the_user_chose() -> None:
    """rmw_fastrtps reads the mode from the environment when ROS starts."""
    plain: dict[str, str] = {}
    publish_from_a_thread(plain)
    chosen = {"RMW_FASTRTPS_PUBLICATION_MODE": "SYNCHRONOUS"}
    publish_from_a_thread(chosen)
    assert plain == {"RMW_FASTRTPS_PUBLICATION_MODE": "ASYNCHRONOUS"}
    assert chosen == {"RMW_FASTRTPS_PUBLICATION_MODE": "SYNCHRONOUS"}


@pytest.mark.parametrize("packages", ["lib/python3.12/site-packages", "local/lib/python3.10/dist-packages"])
def test_an_installation_has_the_profile_under_its_share(packages, tmp_path, monkeypatch):
    """pip, Debian's pip and colcon put the profile in share/ffs_ros/config of the prefix that holds the module."""
    module = tmp_path / packages / "ffs_ros" / "ros" / "transport.py"
    installed = tmp_path / "share" / "ffs_ros" / "config" / transport.PROFILE
    installed.parent.mkdir(parents=True)
    shutil.copy(profile_path(), installed)
    monkeypatch.setattr(transport, "__file__", str(module))
    assert profile_path() == installed


def test_an_installation_without_the_profile_says_so(tmp_path, monkeypatch):
    """Without the file there is a sentence, never a path that Fast DDS would silently ignore."""
    monkeypatch.setattr(transport, "__file__", str(tmp_path / "a" / "b" / "ffs_ros" / "ros" / "transport.py"))
    with pytest.raises(FileError, match="install ffs_ros again"):
        profile_path()


def test_the_profile_replaces_the_transports_and_keeps_udp():
    """32 MiB of shared memory, UDP for other machines, no built-in transports, for every participant."""
    root = ElementTree.parse(profile_path()).getroot()
    assert root.tag == "{http://www.eprosima.com}dds"
    transports = {
        descriptor.find("dds:type", DDS).text: descriptor
        for descriptor in root.iter(f"{{{DDS['dds']}}}transport_descriptor")
    }
    assert set(transports) == {"SHM", "UDPv4"}
    assert int(transports["SHM"].find("dds:segment_size", DDS).text) == 32 * 2**20
    participant = root.find("dds:profiles/dds:participant", DDS)
    assert participant.get("is_default_profile") == "true"
    used = [element.text for element in participant.find("dds:rtps/dds:userTransports", DDS)]
    assert used == [transports[kind].find("dds:transport_id", DDS).text for kind in ("SHM", "UDPv4")]
    assert participant.find("dds:rtps/dds:useBuiltinTransports", DDS).text == "false"


@pytest.mark.parametrize(
    ("distro", "variable"),
    [
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
        (None, "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_a_process_without_a_profile_gets_it_under_the_name_its_distribution_reads(distro, variable):
    """Fast DDS 2 knows only the older name; later distributions complain about it."""
    env = {"ROS_DISTRO": distro} if distro else {}
    expected = {variable: str(profile_path())}
    assert environment(env) == expected
    assert environment({**env, "RMW_IMPLEMENTATION": "rmw_fastrtps_dynamic_cpp"}) == expected
    assert variable in profile_warning(env, FAST_DDS)
    assert profile_warning({**env, **environment(env)}, FAST_DDS) is None


@pytest.mark.parametrize(
    "env",
    [
        {"FASTDDS_DEFAULT_PROFILES_FILE": "/my.xml"},
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "/my.xml"},
        {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
        {"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"},
        {"ROS_DISTRO": "humble", "ROS_LOCALHOST_ONLY": "1"},
    ],
)
def test_a_users_choice_stays(env):
    """Own profiles, own transports, other middleware, and Humble kept on its machine are left alone."""
    assert environment(env) == {}


def test_without_a_profile_the_warning_can_be_typed():
    """The warning names what is missing and the line to type, with the file's path."""
    warning = profile_warning({}, FAST_DDS)
    assert "FASTDDS_DEFAULT_PROFILES_FILE is not set" in warning
    assert f"export FASTDDS_DEFAULT_PROFILES_FILE={profile_path()}" in warning
    assert "before starting the camera driver and this node" in warning


def test_the_warning_knows_which_variable_is_read():
    """The older name still counts on Kilted; the newer one means nothing to Fast DDS 2."""
    profile = str(profile_path())
    assert profile_warning({"FASTRTPS_DEFAULT_PROFILES_FILE": profile, "ROS_DISTRO": "kilted"}, FAST_DDS) is None
    assert "FASTRTPS_DEFAULT_PROFILES_FILE is not set" in profile_warning(
        {"FASTDDS_DEFAULT_PROFILES_FILE": profile, "ROS_DISTRO": "jazzy"}, FAST_DDS
    )


def test_a_profile_that_is_not_there_is_missed(tmp_path):
    """Fast DDS starts with its defaults when the file is gone, so the warning says which name is wrong."""
    gone = str(tmp_path / "gone.xml")
    assert f"names no file ('{gone}')" in profile_warning({"FASTDDS_DEFAULT_PROFILES_FILE": gone}, FAST_DDS)


def test_large_data_is_as_good_as_a_profile_unless_it_is_ignored():
    """Fast DDS's own LARGE_DATA mode carries images too, but not when ROS limits discovery to this machine."""
    env = {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA?max_msg_size=1MB&sockets_size=1MB"}
    assert profile_warning(env, FAST_DDS) is None
    assert "is ignored" in profile_warning({**env, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, FAST_DDS)
    assert profile_warning({"FASTDDS_BUILTIN_TRANSPORTS": "SHM"}, FAST_DDS) is not None


def test_another_middleware_gets_no_advice():
    """What was measured with Fast DDS is not said of others."""
    assert profile_warning({}, "rmw_zenoh_cpp") is None
    assert lost_images_remedy({}, "rmw_zenoh_cpp") is None


def test_lost_images_point_at_the_sender_when_this_process_is_fine():
    """With a profile here, images that get lost were sent by a process without one."""
    remedy = lost_images_remedy({"FASTDDS_DEFAULT_PROFILES_FILE": str(profile_path())}, FAST_DDS)
    assert "the memory that images travel through is the sender's" in remedy
    assert "before starting the camera driver, type" in remedy
    assert lost_images_remedy({}, FAST_DDS) == profile_warning({}, FAST_DDS)


def test_humble_kept_on_its_machine_gets_no_line_that_opens_it():
    """Where the profile would undo ROS_LOCALHOST_ONLY, the warning explains instead of offering it."""
    warning = profile_warning({"ROS_DISTRO": "humble", "ROS_LOCALHOST_ONLY": "1"}, FAST_DDS)
    assert "would undo ROS_LOCALHOST_ONLY" in warning
    assert "export" not in warning


def test_the_running_middleware_is_asked():
    """Without arguments the sentence speaks of this process and its middleware."""
    pytest.importorskip("rclpy")
    code = "from ffs_ros.ros.transport import profile_warning; print(profile_warning())"
    env = {**os.environ, "FASTDDS_DEFAULT_PROFILES_FILE": ""}
    env.pop("ROS_DISTRO", None)
    said = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stdout
    rmw = os.environ.get("RMW_IMPLEMENTATION", FAST_DDS)
    assert ("is not set" in said) == rmw.startswith("rmw_fastrtps")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm, where Linux keeps shared memory")
def test_fast_dds_takes_the_profile():
    """A node started with the profile owns 32 MiB of shared memory, and Fast DDS finds nothing wrong in the XML."""
    pytest.importorskip("rclpy")
    code = (
        "import rclpy, re, pathlib; rclpy.init(); node = rclpy.create_node('probe');"
        "maps = pathlib.Path('/proc/self/maps').read_text();"
        "spans = re.findall(r'^(\\w+)-(\\w+) .*/dev/shm/fastdds_[0-9a-f]{16}$', maps, re.M);"
        "print('largest', max((int(b, 16) - int(a, 16) for a, b in spans), default=0));"
        "node.destroy_node(); rclpy.shutdown()"
    )
    env = {**os.environ, "RMW_IMPLEMENTATION": FAST_DDS, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    env.update(ROS_LOCALHOST_ONLY="0", ROS_DOMAIN_ID=str(100 + time.time_ns() % 100))
    env.pop("FASTDDS_BUILTIN_TRANSPORTS", None)
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        env.pop(name, None)
    env.update(environment(env))
    run = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert "Error" not in run.stdout + run.stderr, run.stdout + run.stderr
    assert int(run.stdout.split("largest")[1]) >= 32 * 2**20


def test_a_missing_profile_is_said_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is asked for in callbacks of the running node: a broken installation is a sentence there, no end."""

    def missing() -> Path:
        raise FileError("the transport profile is not there; install ffs_ros again")

    monkeypatch.setattr(transport, "profile_path", missing)
    said = transport.profile_warning({}, "rmw_fastrtps_cpp")
    assert said is not None
    assert "install ffs_ros again" in said
