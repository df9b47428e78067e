"""``ffs``, which is also ``python -m ffs_ros``."""

import sys


def main() -> None:
    """``cli.main``; Ctrl-C is as quiet while that is imported as it is afterwards."""
    try:
        from ffs_ros.cli import main as run_verb

        run_verb()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
