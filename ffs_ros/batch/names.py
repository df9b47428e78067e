"""What the files of a pair are called, after its left image: as here, or as TAO calls them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from ffs_ros.evaluation.samples import Sample
from ffs_ros.storage import is_url


class Name(NamedTuple):
    """Of a pair's files, in the folder of all results."""

    stem: str
    """With slashes where they lie in folders of their own."""
    picture_suffix: str
    """Of the picture, with its dot."""

    def __str__(self) -> str:
        return self.stem + self.picture_suffix


def _path(sample: Sample) -> Name:
    """``data/scene/im0`` of ``/data/scene/im0.jpg``: no two images meet that differ in more than their endings."""
    return Name(os.path.splitext(_relative(sample.files.left))[0], ".png")  # noqa: PTH122


def _tao(sample: Sample) -> Name:
    """As TAO's PyTorch container (tao-pytorch 7.0.1): the left image's whole path; of Middlebury and ETH3D its folder,
    which is the scene; of KITTI the file's name. TAO knows the published scenes alone, and has no name for Crestereo.
    """
    stem, suffix = os.path.splitext(_relative(sample.files.left))  # noqa: PTH122
    path = PurePosixPath(stem)
    if sample.dataset_name == "Middlebury":
        return Name(path.parent.name or path.name, suffix)
    if sample.dataset_name == "Eth3d":
        return Name(path.parent.name or path.name, ".png")
    return Name(path.name if sample.dataset_name == "Kitti" else stem, suffix)


def _tao_deploy(sample: Sample) -> Name:
    """As TAO's TensorRT container (tao-deploy 7.1): folder and file of the left image, in predicted_depth/."""
    stem, suffix = os.path.splitext(_relative(sample.files.left))  # noqa: PTH122
    return Name("predicted_depth/" + "_".join(stem.split("/")[-2:]), suffix)


NAMINGS: dict[str, Callable[[Sample], Name]] = {"path": _path, "tao": _tao, "tao-deploy": _tao_deploy}


def clashes(samples: Iterable[Sample], naming: str, endings: Sequence[str] = ("",)) -> Iterator[str]:
    """A sentence for each pair whose files would have the names of another's; 8 bytes a pair and ending are held.

    ``endings`` are what follows a stem in the names of files of one suffix: a picture ``a_depth`` has the name of the
    depth of ``a``.
    """
    name_of = NAMINGS[naming]
    hashes = np.sort(
        np.fromiter((hash(name_of(sample).stem + ending) for sample in samples for ending in endings), np.int64)
    )
    doubled = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    if not doubled:
        return
    firsts: dict[str, Sample] = {}
    for sample in samples:
        for stem in (name_of(sample).stem + ending for ending in endings):
            if hash(stem) not in doubled:
                continue
            if stem not in firsts:
                firsts[stem] = sample
                continue
            first, left = firsts[stem], sample.files.left
            if first.files.left == left:
                yield f"{left} is listed as left image more than once: expected each once, as its results have its name"
            else:
                remedy = "rename one" if naming == "path" else "take --names path"
                yield f"the results of {first.files.left} and {left} would both be called {stem}: {remedy}"
            break


def _relative(left: str) -> str:
    """Without scheme and root, and without steps up, so that all results are in their folder."""
    path = left.split("://", 1)[1].partition("?")[0] if is_url(left) else left
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))
