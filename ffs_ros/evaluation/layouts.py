"""The public folder layouts of stereo benchmarks, as lists of pairs.

    middlebury  SCENE/im0.png, im1.png, disp0GT.pfm or disp0.pfm, mask0nocc.png  (version 3, 2014, 2021)
                SCENE/view1.png, view5.png, disp1.png or im2.*, im6.*, disp2.*   (2001 to 2006: 8 bits, with --gt-scale)
    kitti       training/image_2, image_3, disp_occ_0, disp_noc_0                (2015; the frames *_10.png)
                training/colored_0, colored_1 or image_0, image_1, disp_occ, disp_noc  (2012)
    eth3d       two_view_training/SCENE/im0.png, im1.png, and in it or in
                two_view_training_gt/SCENE/ disp0GT.pfm, mask0nocc.png

ROOT may be the folder named first or one above it. Folders of test sets, which have no truth, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ffs_ros.annotation import StereoSample
from ffs_ros.errors import FileError


class _Scene(NamedTuple):
    """Names in the folder of one scene; of several for a file the first that exists is taken."""

    left: str
    right: str
    disparity: Sequence[str]
    mask: Sequence[str] = ()
    truth_folder: tuple[str, str] = ("", "")
    """What to exchange in the folder's path to find the truth."""


_SCENES = {
    "middlebury": (
        _Scene("im0.png", "im1.png", ("disp0GT.pfm", "disp0.pfm"), ("mask0nocc.png",)),
        _Scene("view1.png", "view5.png", ("disp1.png",)),
        _Scene("im2.png", "im6.png", ("disp2.png",)),
        _Scene("im2.ppm", "im6.ppm", ("disp2.pgm",)),
    ),
    "eth3d": (
        _Scene(
            "im0.png", "im1.png", ("disp0GT.pfm",), ("mask0nocc.png",), ("two_view_training", "two_view_training_gt")
        ),
    ),
}
_KITTI = (
    ("image_2", "image_3", "disp_occ_0", "disp_noc_0"),
    ("colored_0", "colored_1", "disp_occ", "disp_noc"),
    ("image_0", "image_1", "disp_occ", "disp_noc"),
)
_KITTI_FRAME = "*_10.png"
_DEEPEST = 3
_TEST_SETS = ("test", "two_view_test")
"""Beginnings of their folders' names."""

DATASET_NAMES = {"middlebury": "Middlebury", "kitti": "Kitti", "eth3d": "Eth3d"}
"""Layout -> the name that tells its ground truth's encoding."""


def pairs_of(layout: str, root: str | Path) -> list[StereoSample]:
    """The pairs below ``root``, sorted by name; files that are missing beside a left image are listed all the same.

    ``layout`` is one of ``DATASET_NAMES``. Raises FileError when there is none.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileError(f"there is no folder {root}; check the name")
    pairs = list(_kitti(root) if layout == "kitti" else _scenes(layout, root))
    if not pairs:
        raise FileError(f"{root} holds no pair in the layout '{layout}': expected {_EXPECTED[layout]}")
    return pairs


_EXPECTED = {
    "middlebury": "SCENE/im0.png (or view1.png, im2.png, im2.ppm), at most three folders deep",
    "kitti": "image_2/*_10.png (or colored_0/, image_0/), there or in training/",
    "eth3d": "SCENE/im0.png, at most three folders deep",
}


def _scenes(layout: str, root: Path) -> Iterator[StereoSample]:
    for folder in _folders(root, _DEEPEST):
        for scene in _SCENES[layout]:
            if (folder / scene.left).is_file():
                truth_folders = [folder, _with_part(folder, *scene.truth_folder)]
                yield StereoSample(
                    str(folder / scene.left),
                    str(folder / scene.right),
                    _first(truth_folders, scene.disparity) or str(folder / scene.disparity[0]),
                    _first(truth_folders, scene.mask),
                )
                break


def _folders(root: Path, deepest: int) -> Iterator[Path]:
    yield root
    if deepest:
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(_TEST_SETS)):
            yield from _folders(folder, deepest - 1)


def _with_part(folder: Path, old: str, new: str) -> Path:
    return Path(*(new if part == old else part for part in folder.parts))


def _first(folders: Sequence[Path], names: Sequence[str]) -> str | None:
    return next((str(folder / name) for folder in folders for name in names if (folder / name).is_file()), None)


def _kitti(root: Path) -> Iterator[StereoSample]:
    for folder in (root, root / "training"):
        for left, right, all_, seen in _KITTI:
            if (folder / left).is_dir():
                for path in sorted((folder / left).glob(_KITTI_FRAME)):
                    seen_by_both = folder / seen / path.name
                    yield StereoSample(
                        str(path),
                        str(folder / right / path.name),
                        str(folder / all_ / path.name),
                        str(seen_by_both) if seen_by_both.is_file() else None,
                    )
                break
