"""Pairs in files become samples: what is read, how it is varied, and what is said about a bad file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from synthetic_pair import HEIGHT, WIDTH, synthetic_pair  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from ffs_ros.errors import FileError  # noqa: E402
from ffs_ros.image_file import write_png  # noqa: E402
from ffs_ros.pfm import write_pfm  # noqa: E402
from ffs_ros.spec.augmentation import AugmentationConfig  # noqa: E402
from ffs_ros.spec.dataset import Source  # noqa: E402
from ffs_ros.training.batches import Draw, Place, drawn_batch  # noqa: E402
from ffs_ros.training.dataset import AugmentedPairs, PairsInFiles, SampleError  # noqa: E402

CROP = (64, 96)
PAIRS = 6


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A list of six pairs, each a little brighter than the one before."""
    sample = synthetic_pair()
    write_pfm(tmp_path / "truth.pfm", sample.disparity_HW)
    for index in range(PAIRS):
        for side, image_HW3 in (("left", sample.left_HW3), ("right", sample.right_HW3)):
            write_png(tmp_path / f"{side}{index}.png", image_HW3 // 2 + np.uint8(index))
    lines = [f"left{index}.png right{index}.png truth.pfm\n" for index in range(PAIRS)]
    (tmp_path / "pairs.txt").write_text("".join(lines))
    return Source("FSD", str(tmp_path / "pairs.txt"))


def augmented_pairs(source: Source) -> AugmentedPairs:
    return AugmentedPairs([source], AugmentationConfig(crop_size=CROP, do_flip=True), 192)


def test_a_pair_for_validation_is_as_it_is(source: Source) -> None:
    """Its own size and values; nothing is varied, cut or padded."""
    sample, pairs = synthetic_pair(), PairsInFiles([source])
    item = pairs[2]
    assert len(pairs) == PAIRS
    assert item["left"].shape == item["right"].shape == (3, HEIGHT, WIDTH)
    assert item["disparity"].shape == (1, HEIGHT, WIDTH)
    assert {item[name].dtype for name in ("left", "right", "disparity")} == {torch.float32}
    np.testing.assert_array_equal(item["left"].permute(1, 2, 0), sample.left_HW3 // 2 + 2)
    np.testing.assert_array_equal(item["right"].permute(1, 2, 0), sample.right_HW3 // 2 + 2)
    np.testing.assert_array_equal(item["disparity"][0], sample.disparity_HW)
    assert item["name"].endswith("left2.png")


def test_sources_are_joined_each_in_its_own_encoding(source: Source, tmp_path: Path) -> None:
    """KITTI's truth, 16 bits of 1/256 px with 0 for unknown, beside the others'; a mask takes truth away."""
    steps = np.full((HEIGHT, WIDTH), 256 * 7 + 64, np.uint16)
    steps[0] = 0
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[:, :10] = 128
    cv2.imwrite(str(tmp_path / "kitti.png"), steps)
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    (tmp_path / "kitti.txt").write_text("left0.png right0.png kitti.png mask.png\n")
    pairs = PairsInFiles([source, Source("kitti", str(tmp_path / "kitti.txt"))])
    assert len(pairs) == PAIRS + 1
    disparity = pairs[PAIRS]["disparity"][0].numpy()
    assert np.isnan(disparity[0]).all()
    assert np.isnan(disparity[:, :10]).all()
    assert (disparity[1:, 10:] == 7.25).all()


def test_a_sample_is_decided_by_its_draw_alone(source: Source) -> None:
    """The same steps with no worker and with two, begun at the start and in the middle: the same tensors."""
    pairs = augmented_pairs(source)

    def batches(steps: range, workers: int) -> list[dict[str, torch.Tensor]]:
        sampler = [drawn_batch(step, len(pairs), 2, 1234, Place()) for step in steps]
        return list(DataLoader(pairs, batch_sampler=sampler, num_workers=workers))

    whole, resumed = batches(range(5), 0), batches(range(2, 5), 2)
    for one, other in zip(whole[2:], resumed, strict=True):
        assert one["name"] == other["name"]
        assert one["left"].shape == (2, 3, *CROP)
        for name in ("left", "right", "disparity"):
            assert torch.equal(torch.nan_to_num(one[name]), torch.nan_to_num(other[name]))


def test_another_draw_is_another_sample(source: Source) -> None:
    """The seed of a draw varies the pair, and its index names the pair."""
    pairs = augmented_pairs(source)
    one, other = pairs[Draw(3, 0)], pairs[Draw(3, 1)]
    assert one["name"] == other["name"]
    assert one["name"].endswith("left3.png")
    assert not torch.equal(one["left"], other["left"])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_file_is_one_sentence(source: Source, tmp_path: Path, workers: int) -> None:
    """With its name, out of a worker process too."""
    (tmp_path / "right1.png").write_bytes(b"\x89PNG nothing")
    loader = DataLoader(augmented_pairs(source), batch_sampler=[[Draw(0, 0)], [Draw(1, 0)]], num_workers=workers)
    with pytest.raises(SampleError) as caught:
        list(loader)
    assert str(caught.value).startswith(f"{tmp_path / 'right1.png'} is ")
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert isinstance(caught.value, FileError)


@pytest.mark.parametrize("name", ["right0.png", "truth.pfm", "mask.png"])
def test_files_of_different_sizes_are_no_pair(source: Source, tmp_path: Path, name: str) -> None:
    """The sentence names both files and both sizes."""
    (tmp_path / "pairs.txt").write_text("left0.png right0.png truth.pfm mask.png\n")
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((HEIGHT, WIDTH), 255, np.uint8))
    if name == "truth.pfm":
        write_pfm(tmp_path / name, np.ones((20, 30), np.float32))
    else:
        cv2.imwrite(str(tmp_path / name), np.full((20, 30), 255, np.uint8))
    with pytest.raises(SampleError, match=rf"{name} is 30x20 and .*left0.png is {WIDTH}x{HEIGHT}: expected one size"):
        PairsInFiles([source])[0]


def test_a_list_without_truth_is_refused_at_once(tmp_path: Path) -> None:
    """Before anything is read, and not when its turn comes."""
    (tmp_path / "pairs.txt").write_text("left.png right.png\n")
    with pytest.raises(FileError, match=r"pairs\.txt names no ground truth for left\.png: expected"):
        PairsInFiles([Source("GenericDataset", str(tmp_path / "pairs.txt"))])
