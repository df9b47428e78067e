"""What a pair's files are called."""

from __future__ import annotations

import pytest

from ffs_ros.annotation import StereoSample
from ffs_ros.batch.names import NAMINGS, clashes
from ffs_ros.evaluation.samples import Sample


def sample(left: str, dataset_name: str = "GenericDataset") -> Sample:
    return Sample(0, StereoSample(left, "r.png"), dataset_name, None)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ("/data/a.b/im0.jpg", "data/a.b/im0.png"),
        ("../up/./im0.png", "up/im0.png"),
        ("s3://bucket/a//im0.png", "bucket/a/im0.png"),
        ("http://host:80/im0.png?sign=a/b.c", "host:80/im0.png"),
        ("plain", "plain.png"),
    ],
)
def test_a_path_names_its_files(left: str, expected: str) -> None:
    """Below the results, wherever the image is."""
    assert str(NAMINGS["path"](sample(left))) == expected


@pytest.mark.parametrize(
    ("left", "dataset_name", "tao", "deploy"),
    [
        ("/data/seq/left/7.jpg", "FSD", "data/seq/left/7.jpg", "predicted_depth/left_7.jpg"),
        ("/mb/Adirondack/im0.png", "Middlebury", "Adirondack.png", "predicted_depth/Adirondack_im0.png"),
        ("/eth/delivery_area_1l/im0.jpg", "Eth3d", "delivery_area_1l.png", "predicted_depth/delivery_area_1l_im0.jpg"),
        ("/k/image_2/000000_10.png", "Kitti", "000000_10.png", "predicted_depth/image_2_000000_10.png"),
        ("/c/tree/0_left.jpg", "Crestereo", "c/tree/0_left.jpg", "predicted_depth/tree_0_left.jpg"),
        ("7.jpg", "GenericDataset", "7.jpg", "predicted_depth/7.jpg"),
    ],
)
def test_names_as_tao_has_them(left: str, dataset_name: str, tao: str, deploy: str) -> None:
    """Both containers, by data set."""
    assert str(NAMINGS["tao"](sample(left, dataset_name))) == tao
    assert str(NAMINGS["tao-deploy"](sample(left, dataset_name))) == deploy


def test_clashes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the same line twice; not what only has the same hash."""
    kitti = [sample(f"/{year}/image_2/{number}.png", "Kitti") for year in (2012, 2015) for number in range(3)]
    assert list(clashes(kitti, "path")) == []
    found = list(clashes(kitti, "tao"))
    assert found[1] == (
        "the results of /2012/image_2/1.png and /2015/image_2/1.png would both be called 1: take --names path"
    )
    assert len(found) == 3
    (twice,) = clashes([kitti[0], kitti[4], kitti[0]], "path")
    assert twice.startswith("/2012/image_2/0.png is listed as left image more than once: expected each once")
    monkeypatch.setattr("builtins.hash", lambda _: 7)
    assert list(clashes(kitti, "path")) == []


def test_depth_has_no_other_pictures_name() -> None:
    """Both are PNG: the one written last would stand for both, and be kept for ever."""
    pairs = [sample("a/im0_depth.png"), sample("a/im1.png"), sample("a/im0.png")]
    (found,) = clashes(pairs, "path", ("", "_depth"))
    assert found == "the results of a/im0_depth.png and a/im0.png would both be called a/im0_depth: rename one"
    assert list(clashes(pairs, "path")) == []
    (twice,) = clashes([pairs[1], pairs[1]._replace(place=1)], "path", ("", "_depth"))
    assert twice.startswith("a/im1.png is listed as left image more than once")
