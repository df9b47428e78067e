#!/bin/sh
# Runs a command where ROS, this package and its executables (ffs, stereo_node) are found.
set -e
# shellcheck source=/dev/null
. "/opt/ros/${ROS_DISTRO}/setup.sh"
# shellcheck source=/dev/null
. /opt/ffs/setup.sh
PATH="/opt/ffs/lib/ffs_ros:${PATH}"
export PATH
exec "$@"
