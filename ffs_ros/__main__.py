"""``python -m ffs_ros`` is ``ffs``."""

from ffs_ros.cli import main

if __name__ == "__main__":
    main()
