"""``ffs spec``: a spec to begin with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ffs_ros.errors import FileError
from ffs_ros.spec.template import OUR_NAMES, SPECS, template
from ffs_ros.whole_file import whole_file

HELP = """\
ffs spec train -o train.yaml
ffs spec -o experiment.yaml

A spec with every key of an action at its default, each with a comment; of all actions where none is named. It has TAO's
keys, and TAO reads it too (docs/tao.md). Put your files in, then: ffs train -e train.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ffs spec``."""
    parser.add_argument(
        "action", metavar="ACTION", nargs="?", choices=[*SPECS, *OUR_NAMES],
        help=f"{', '.join(SPECS)}; or as the verbs here are called: {', '.join(OUR_NAMES)}",
    )  # fmt: skip
    parser.add_argument("-o", "--out", metavar="SPEC.yaml", type=Path, help="the file to write (default: the screen)")


def main(args: argparse.Namespace) -> None:
    """Write the spec, or raise FileError."""
    text = template(OUR_NAMES.get(args.action, args.action))
    if args.out is None:
        sys.stdout.write(text)
        return
    if args.out.exists():
        raise FileError(f"{args.out} is there already; name another file, or remove it")
    with whole_file(args.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"{args.out}: every key and its default; put your files in")
