"""Other ROS packages that a launch file needs."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from ffs_ros.errors import FfsError


def share_folder(package: str) -> Path | None:
    """Where an installed ROS package has its launch and configuration files; None when it is not installed."""
    try:
        return Path(get_package_share_directory(package))
    except PackageNotFoundError:
        return None


def required_share_folder(package: str, asked_by: str, remedy: str) -> Path:
    """As ``share_folder``; raises FfsError, which says what asks for the package and what to do, when it is missing."""
    folder = share_folder(package)
    if folder is None:
        raise FfsError(f"{asked_by} needs the ROS package {package}, which is not installed here; {remedy}")
    return folder
