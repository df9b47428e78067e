"""``python -m ffs_ros.ros`` is ``stereo_node``."""

from ffs_ros.ros import main

if __name__ == "__main__":
    main()
