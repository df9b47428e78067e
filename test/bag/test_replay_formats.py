"""Whatever recorded a bag, the same pairs give the same messages, with the images' stamps and times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import CAMERA, FORMATS, PERIOD_NS, START_NS, DISPARITY_px, messages_of, stereo_stream, write_bag

from ffs_ros.engine.sgbm import SgbmEngine
from ffs_ros.geometry import depth_from_disparity
from ffs_ros.matcher import StereoMatcher

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]


@pytest.mark.parametrize("packed", ["", ".png"])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_pair_exactly_once(tmp_path: Path, pairs: Pairs, replay: Replay, kind: str, packed: str) -> None:
    """Disparity and depth of each pair are what the matcher answers; header and time are the images'."""
    bag = write_bag(tmp_path / "rec", kind, stereo_stream(pairs, CAMERA, "/rig", packed))
    record, out = replay(bag)
    assert record["pairs"] == {
        "paired": 6, "matched": 6, "repeated": 0, "rejected": [], "failed": [], "incomplete": [], "time_jumped_back": 0,
    }  # fmt: skip
    matcher = StereoMatcher(SgbmEngine(max_disparity=16))
    disparities, depths = messages_of(out, "/disparity"), messages_of(out, "/depth/image_rect")
    infos = messages_of(out, "/depth/camera_info")
    assert len(disparities) == len(depths) == len(infos) == len(pairs)
    for index, pair in enumerate(pairs):
        answer_HW = matcher.match(*pair)
        middle = np.median(answer_HW[:, 20:])
        assert middle == pytest.approx(DISPARITY_px, abs=0.1)
        stamp_ns = START_NS + index * PERIOD_NS
        for log_ns, message in (disparities[index], depths[index], infos[index]):
            assert log_ns == stamp_ns + 8_000_000  # when the right image was recorded
            stamp = message.header.stamp
            assert stamp.sec * 1_000_000_000 + stamp.nanosec == stamp_ns
            assert message.header.frame_id == "left_optical"
        disparity, depth, info = disparities[index][1], depths[index][1], infos[index][1]
        assert (disparity.f, disparity.t) == pytest.approx((CAMERA.fx_px, CAMERA.baseline_m))
        difference_px = CAMERA.principal_point_difference_px
        expected_HW = np.where(np.isnan(answer_HW), 0.0, answer_HW - np.float32(difference_px)).astype(np.float32)
        np.testing.assert_array_equal(_pixels(disparity.image), expected_HW)
        np.testing.assert_allclose(_pixels(depth), depth_from_disparity(answer_HW, CAMERA), rtol=1e-6)
        np.testing.assert_array_equal(info.p, np.array([100, 0, 47.5, 0, 0, 100, 23.5, 0, 0, 0, 1, 0], np.float64))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_storages_hold_the_same(tmp_path: Path, pairs: Pairs, replay: Replay, storage: str) -> None:
    """All outputs, in either storage, with the size and the types that the node gives them."""
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs[:2], CAMERA))
    names = ("disparity", "depth", "camera_info", "points", "colours", "confidence", "occlusion")
    record, out = replay(bag, outputs=names, storage=storage, parameters={"confidence_rate": 1000.0})
    assert record["output"]["messages"] == {
        "/disparity": 2, "/depth/image_rect": 2, "/depth/camera_info": 2, "/points2": 2, "/disparity/color": 2,
        "/confidence": 2, "/occlusion": 2,
    }  # fmt: skip
    assert next(out.glob("*.mcap" if storage == "mcap" else "*.db3")).name.startswith(out.name)
    points = messages_of(out, "/points2")[1][1]
    xyz_HW3 = points.data.view(np.float32).reshape(CAMERA.height, CAMERA.width, 4)[..., :3]
    depth_HW = _pixels(messages_of(out, "/depth/image_rect")[1][1])
    np.testing.assert_array_equal(xyz_HW3[..., 2], depth_HW)
    assert [field.name for field in points.fields] == ["x", "y", "z", "rgb"]
    confidence_HW = _pixels(messages_of(out, "/confidence")[1][1])
    assert np.nanmedian(confidence_HW[:, 20:]) == 1.0
    colours = messages_of(out, "/disparity/color")[1][1]
    assert (colours.encoding, colours.data.size) == ("rgb8", 3 * CAMERA.width * CAMERA.height)
    assert messages_of(out, "/occlusion")[1][1].encoding == "mono8"


def test_the_parameters_are_the_nodes(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """16UC1 millimetres, and no answer beyond a range, as with ``depth_encoding`` and ``max_depth``."""
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs[:1], CAMERA))
    depth_m = CAMERA.fx_px * CAMERA.baseline_m / (DISPARITY_px - CAMERA.principal_point_difference_px)
    _, out = replay(bag, parameters={"depth_encoding": "16UC1"}, namespace="/front/")
    depth = messages_of(out, "/front/depth/image_rect")[0][1]
    assert np.median(depth.data.view(np.uint16)) == pytest.approx(1e3 * depth_m, rel=0.02)
    record, out = replay(bag, parameters={"max_depth": depth_m / 2})
    assert record["density"]["mean"] < 0.1
    assert not np.isfinite(_pixels(messages_of(out, "/depth/image_rect")[0][1])).mean() > 0.1


def test_second_matches_keep_their_rate(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Nine times a second of the recording, of 30 images: those at 0, 133 and 267 ms, of twelve pairs."""
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs * 2, CAMERA))
    record, out = replay(bag, parameters={"confidence_rate": 9.0}, outputs=("confidence",))
    assert record["left_right"]["pairs"] == 3
    stamps = [message.header.stamp.nanosec for _, message in messages_of(out, "/confidence")]
    assert stamps == [7 + index * PERIOD_NS for index in (0, 4, 8)]


def test_a_second_engine_keeps_the_limits_too(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Against itself there is no difference, within a region of interest."""
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs[:2], CAMERA))
    record, _ = replay(bag, parameters={"roi_x_offset": 20, "roi_width": 50}, against="sgbm")
    assert record["density"]["mean"] < 51 / 96
    assert (record["against"]["mean"]["max_px"], record["against"]["mean"]["one_only"]) == (0.0, 0.0)


def _pixels(message: Any) -> np.ndarray:
    dtype = {"32FC1": np.float32, "mono8": np.uint8}[message.encoding]
    return message.data.view(dtype).reshape(message.height, message.width)
