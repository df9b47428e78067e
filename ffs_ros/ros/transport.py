"""The Fast DDS profile with which megabyte images survive the way between processes. docs/transport.md has the figures.

Fast DDS's shared memory holds 512 KiB by default, less than one image, and parts of an image are overwritten before
they are read. The memory belongs to the writer: each process that publishes images needs the profile, the camera driver
too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from ffs_ros.errors import FileError

PROFILE = "fastdds_large_images.xml"
PROFILE_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
FAST_DDS_2_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
"""The older name: Fast DDS 2 knows no other, on Kilted rmw_fastrtps still takes it and says that it is deprecated."""
BUILTIN_TRANSPORTS_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
PUBLICATION_MODE_VARIABLE = "RMW_FASTRTPS_PUBLICATION_MODE"

_FAST_DDS_2_DISTROS = ("humble", "iron", "jazzy")


def profile_path() -> Path:
    """The shipped profile, of the source tree or of the installation that this module belongs to.

    Raises FileError where the installation lacks it.
    """
    module = Path(__file__).resolve()
    tree = module.parents[2]
    candidates = [tree / "config", *(parent / "share" / "ffs_ros" / "config" for parent in module.parents)]
    for folder in candidates:
        if (folder / PROFILE).is_file():
            return folder / PROFILE
    raise FileError(
        f"the transport profile {PROFILE} is neither in {tree / 'config'} nor in share/ffs_ros/config of an "
        "installation around it; install ffs_ros again"
    )


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """The variable that gives a process started with ``env`` the shipped profile.

    Empty where the user has set a profile or ``FASTDDS_BUILTIN_TRANSPORTS``, for another middleware, and where the
    profile would reach beyond the machine against the user's will. Raises FileError as ``profile_path``.
    """
    chosen = {PROFILE_VARIABLE, FAST_DDS_2_VARIABLE, BUILTIN_TRANSPORTS_VARIABLE} & set(env)
    if chosen or not _is_fast_dds(env.get("RMW_IMPLEMENTATION", "")) or _stays_local(env):
        return {}
    return {_variable(env): str(profile_path())}


def publish_from_a_thread(env: MutableMapping[str, str]) -> None:
    """Have Fast DDS, in a process whose environment is ``env``, send from a thread of its own, unless the user chose.

    Otherwise ``publish`` returns only when a megabyte image has been copied once more, into the shared memory, and
    rclpy holds Python's lock meanwhile.
    """
    env.setdefault(PUBLICATION_MODE_VARIABLE, "ASYNCHRONOUS")


def profile_warning(env: Mapping[str, str] | None = None, middleware: str | None = None) -> str | None:
    """What this process loses without a profile and what to type; None with a profile or without Fast DDS.

    ``FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA`` is as good as a profile where it has an effect. ``env`` is this process's
    environment and ``middleware`` the running one's identifier unless given. Raises FileError as ``profile_path``.
    """
    env = os.environ if env is None else env
    if not _is_fast_dds(_running_middleware() if middleware is None else middleware):
        return None
    large_data = env.get(BUILTIN_TRANSPORTS_VARIABLE, "").startswith("LARGE_DATA")
    if large_data and not _discovers_this_machine_only(env):
        return None
    variable = _variable(env)
    if variable not in env and variable == PROFILE_VARIABLE and FAST_DDS_2_VARIABLE in env:
        variable = FAST_DDS_2_VARIABLE
    profile = env.get(variable)
    if profile and Path(profile).is_file():
        return None
    found = f"{variable} names no file ('{profile}')" if profile else f"{variable} is not set"
    if large_data:
        found += f" ({BUILTIN_TRANSPORTS_VARIABLE} is ignored while discovery is limited to this machine)"
    return (
        f"Fast DDS loses or delays images between processes with its default transports, and {found}; "
        f"{_remedy(env, 'the camera driver and this node')}"
    )


def lost_images_remedy(env: Mapping[str, str] | None = None, middleware: str | None = None) -> str | None:
    """What to type when images get lost on the way to this process; None without Fast DDS.

    Arguments and what is raised are ``profile_warning``'s.
    """
    env = os.environ if env is None else env
    middleware = _running_middleware() if middleware is None else middleware
    if not _is_fast_dds(middleware):
        return None
    return profile_warning(env, middleware) or (
        "this process has a Fast DDS transport profile, but the memory that images travel through is the sender's: "
        f"{_remedy(env, 'the camera driver')}"
    )


def _remedy(env: Mapping[str, str], who: str) -> str:
    if _stays_local(env):
        return (
            "on Humble the shipped profile would undo ROS_LOCALHOST_ONLY=1, so it is not used: "
            'see "Humble and ROS_LOCALHOST_ONLY" in docs/transport.md'
        )
    try:
        return f"before starting {who}, type: export {_variable(env)}={profile_path()}"
    except FileError as error:  # said beside the loss; it must not end the node
        return str(error)


def _variable(env: Mapping[str, str]) -> str:
    """The name that the Fast DDS of this ROS distribution takes."""
    return FAST_DDS_2_VARIABLE if env.get("ROS_DISTRO") in _FAST_DDS_2_DISTROS else PROFILE_VARIABLE


def _is_fast_dds(middleware: str) -> bool:
    """Whether an rmw identifier is Fast DDS's, which is also the default of the supported distributions."""
    return not middleware or middleware.startswith("rmw_fastrtps")


def _stays_local(env: Mapping[str, str]) -> bool:
    """Whether the profile's UDP transport would undo the user's ROS_LOCALHOST_ONLY.

    Humble's rmw_fastrtps adds a loopback-only transport beside the profile's; later distributions restrict discovery.
    """
    return env.get("ROS_DISTRO") == "humble" and env.get("ROS_LOCALHOST_ONLY") == "1"


def _discovers_this_machine_only(env: Mapping[str, str]) -> bool:
    """Whether rmw_fastrtps sets up transports of its own, in place of the built-in ones."""
    return env.get("ROS_AUTOMATIC_DISCOVERY_RANGE") == "LOCALHOST" or env.get("ROS_LOCALHOST_ONLY") == "1"


def _running_middleware() -> str:
    from rclpy.utilities import get_rmw_implementation_identifier

    return str(get_rmw_implementation_identifier())
