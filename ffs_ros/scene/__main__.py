"""``python -m ffs_ros.scene OUT``: rendered pairs with their exact truth as files, for a finetune or to look at.

OUT receives left_NNNN.png, right_NNNN.png, disparity_NNNN.pfm and annotations.txt, the list of them that a spec names.
"""

from __future__ import annotations

import argparse
import math
import re
import secrets
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from ffs_ros.errors import FfsError, FileError
from ffs_ros.image_file import write_png
from ffs_ros.pfm import write_pfm

from . import Style, render_batch

LIST = "annotations.txt"
LEAST_SIDE_px, LARGEST_SIDE_px = 32, 4096

STYLE_OPTIONS = {
    "weak_texture": (1.0, "share of surfaces with hardly any texture"),
    "repeated_texture": (1.0, "share of surfaces whose texture repeats"),
    "reflective": (1.0, "share of surfaces that mirror their surroundings"),
    "panes": (1.0, "share of panes of glass that are there"),
    "cut_patches": (1.0, "share of patches that are discs, gratings, meshes or foliage"),
    "grey": (1.0, "share of pairs without colour, as infrared cameras give them"),
    "noise": (64.0, "largest deviation of the noise, grey levels"),
    "blur_px": (0.8, "largest deviation of the blur, px"),
    "exposure": (2.0, "deviation of the logarithm of the right exposure over the left one"),
    "rectification_px": (16.0, "largest vertical error of the rectification, px"),
}
"""The largest value of each field of ``Style``, and what it is; the defaults are declared there."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder; exit code 2 and no folder when something is wrong."""
    args = _parser().parse_args(arguments)
    try:
        style = Style(**{name: _limited(name, getattr(args, name)) for name in STYLE_OPTIONS})
        _at_least("--pairs", args.pairs, 1)
        _at_least("--seed", args.seed, 0)
        _at_least("--max-disparity", args.max_disparity, 8, LARGEST_SIDE_px)
        write_pairs(args.out, args.pairs, args.seed, _size(args.size), args.max_disparity, style, args.right_negative)
    except FfsError as error:
        print("scene:", error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"{args.out / LIST} lists the pairs, {args.pairs}")


def write_pairs(
    out: Path, pairs: int, seed: int, size: tuple[int, int], max_disparity_px: float, style: Style,
    right_is_negative: bool = False,
) -> None:  # fmt: skip
    """Make the folder ``out`` with ``pairs`` pairs of ``size`` (rows, columns) and their list: all of it, or nothing.

    Pair number i is decided by ``seed`` and i, whatever ``pairs`` is. ``right_is_negative`` reverses the contrast of
    the right images. Raises FileError when ``out`` is there already or cannot be made.
    """
    import array_api_compat.numpy as xp

    if out.exists():
        raise FileError(f"{out} exists already: name a new folder")
    temporary = out.absolute().with_name(f".{secrets.token_hex(8)}")
    try:
        temporary.mkdir(parents=True)
        settings = ", ".join(f"{name} {value:g}" for name, value in asdict(style).items())
        head = f"# rendered: seed {seed}, {size[0]}x{size[1]}, max_disparity {max_disparity_px:g} px; {settings}\n"
        lines = [head + "# the right images are negatives\n" * right_is_negative]
        for index in range(pairs):
            pair_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
            rendered = render_batch(
                xp, pair_seed, 1, *size, max_disparity_px=max_disparity_px, style=style, occlusion=False
            )
            names = [f"left_{index:04d}.png", f"right_{index:04d}.png", f"disparity_{index:04d}.pfm"]
            write_png(temporary / names[0], rendered.left_BHW3[0].astype(np.uint8))
            right_HW3 = rendered.right_BHW3[0].astype(np.uint8)
            write_png(temporary / names[1], 255 - right_HW3 if right_is_negative else right_HW3)
            write_pfm(temporary / names[2], rendered.disparity_BHW[0])
            lines.append(" ".join(names) + "\n")
        (temporary / LIST).write_text("".join(lines), encoding="utf-8")
        temporary.rename(out)
    except FileError as error:
        raise FileError(str(error).replace(str(temporary), str(out))) from None
    except OSError as error:
        raise FileError(f"cannot make {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ffs_ros.scene", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder to make")
    parser.add_argument("--pairs", metavar="N", type=int, default=8, help="how many (default: %(default)s)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="decides them all (default: %(default)s)")
    parser.add_argument("--size", metavar="HxW", default="320x736", help="rows x columns (default: %(default)s)")
    parser.add_argument(
        "--max-disparity", metavar="PX", type=float, default=192.0,
        help=f"few surfaces are nearer, 8 to {LARGEST_SIDE_px} (default: %(default)g)",
    )  # fmt: skip
    defaults = {field.name: field.default for field in fields(Style)}
    for name, (most, what) in STYLE_OPTIONS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", metavar="X", type=float, default=defaults[name],
            help=f"{what}, 0 to {most:g} (default: %(default)s)",
        )  # fmt: skip
    parser.add_argument(
        "--right-negative", action="store_true",
        help="reverse the contrast of the right images, as between a visible and a thermal camera",
    )  # fmt: skip
    return parser


def _at_least(option: str, value: float, least: int, most: float = math.inf) -> None:
    if not least <= value <= most:
        at_most = f" and at most {most:g}" if most < math.inf else ""
        raise FileError(f"{option} is {value:g}: expected at least {least}{at_most}")


def _limited(name: str, value: float) -> float:
    most = STYLE_OPTIONS[name][0]
    if not 0.0 <= value <= most:
        raise FileError(f"--{name.replace('_', '-')} is {value:g}: expected 0 to {most:g}")
    return value


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text)
    if not found or not all(LEAST_SIDE_px <= int(side) <= LARGEST_SIDE_px for side in found.groups()):
        raise FileError(
            f"--size is '{text}': expected rows x columns, each {LEAST_SIDE_px} to {LARGEST_SIDE_px}, such as 320x736"
        )
    return int(found[1]), int(found[2])


if __name__ == "__main__":
    main()
