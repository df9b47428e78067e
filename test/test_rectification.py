"""Rectification against cameras that are written down from the models' definitions, and on real raw pairs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from raw_camera import RawCamera, as_image, offsets_px, rotation, waves

from ffs_ros.errors import CalibrationError, MessageError
from ffs_ros.geometry import StereoCamera
from ffs_ros.rectification import Rectification, StereoRectification

LEFT = RawCamera(
    width=320,
    height=240,
    k=(230.0, 228.0, 163.0, 117.0),
    p=(250.0, 250.0, 158.0, 122.0),
    r=rotation(0.03, -0.02, 0.025),
)
RIGHT = RawCamera(
    width=320, height=240, k=(226.0, 227.0, 155.0, 124.0), p=(250.0, 250.0, 151.0, 122.0), tx=-25.0,
    r=rotation(-0.02, 0.03, -0.015),
)  # fmt: skip
MODELS = {
    "plumb_bob": (-0.28, 0.074, 0.0012, -0.0009, 0.003),
    "plumb_bob of four": (-0.28, 0.074, 0.0012, -0.0009),
    "rational_polynomial": (0.9, -0.4, 0.0007, -0.0005, 0.05, 1.2, -0.2, -0.05),
    "equidistant": (0.02, 0.031, -0.03, 0.005),
    "fisheye": (-0.002, 0.039, -0.038, 0.007),
    "none": (),
    "": (),
    "plumb_bob of none": (),
}


def camera_of(left: RawCamera, right: RawCamera) -> StereoCamera:
    return StereoCamera.from_camera_info(left.info(), right.info())


@pytest.mark.parametrize("name", MODELS)
def test_a_distorted_pair_comes_back(name: str) -> None:
    """Both images are within a tenth of a pixel of the rectified pair, wherever the raw ones show it."""
    left, right = (replace(camera, model=name.split(" of ")[0], d=MODELS[name]) for camera in (LEFT, RIGHT))
    rectification = StereoRectification.of(left.info(), right.info(), camera_of(left, right))
    disparity_px = 12.3

    def shifted(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return waves(u + disparity_px, v)

    raw = left.raw_image(waves), right.raw_image(shifted)
    for half, image, texture in zip(rectification, rectification.images(*raw), (waves, shifted), strict=True):
        assert image.shape == (240, 320, 3)
        seen_HW = np.ones((240, 320), bool) if half.unseen_HW is None else ~half.unseen_HW
        whole = seen_HW.reshape(10, 24, 320)[:, :, :312].reshape(10, 24, 13, 24).all(axis=(1, 3)).ravel()
        assert whole.mean() > 0.6
        assert np.abs(offsets_px(image, texture)[whole]).max() < 0.1
    # The test can tell: the raw images are far off.
    assert np.abs(offsets_px(raw[0], waves)).max() > 1.0


@pytest.mark.parametrize("name", MODELS)
def test_places_are_those_of_the_definition(name: str) -> None:
    """Each rectified pixel is fetched from where the formulas put it, to the 32nd of a pixel that remap knows."""
    camera = replace(LEFT, model=name.split(" of ")[0], d=MODELS[name])
    half = Rectification.of("left", camera.info(), camera_of(camera, RIGHT))
    u, v = np.meshgrid(np.arange(320.0), np.arange(240.0))
    expected = np.stack(camera.raw_of_rectified(u, v), axis=2)
    inside = ((expected >= 0) & (expected <= [319, 239])).all(axis=2)
    found = half.places_HW2 + np.stack([half.fractions_HW % 32, half.fractions_HW // 32], axis=2) / 32.0
    assert inside.mean() > 0.6
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.5 / 32 + 2e-3)


def with_readout(info: SimpleNamespace, roi: tuple[int, int, int, int], binning: tuple[int, int]) -> SimpleNamespace:
    x, y, width, height = roi
    region = SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height, do_rectify=True)
    return SimpleNamespace(**{**vars(info), "roi": region, "binning_x": binning[0], "binning_y": binning[1]})


@pytest.mark.parametrize(
    ("roi", "binning"), [((40, 24, 240, 192), (1, 1)), ((0, 0, 0, 0), (2, 2)), ((33, 21, 241, 193), (2, 1))]
)
def test_a_cropped_or_binned_raw_image(roi: tuple[int, int, int, int], binning: tuple[int, int]) -> None:
    """The rectified image is that of the whole sensor, at the places that its P says."""
    left, right = (replace(camera, model="plumb_bob", d=MODELS["plumb_bob"]) for camera in (LEFT, RIGHT))
    infos = [with_readout(camera.info(), roi, binning) for camera in (left, right)]
    camera = StereoCamera.from_camera_info(*infos)
    x, y, width, height = roi
    delivered = (slice(y, y + height if height else None), slice(x, x + width if width else None))
    raw = left.raw_image(waves)[delivered]
    raw = raw[: raw.shape[0] // binning[1] * binning[1], : raw.shape[1] // binning[0] * binning[0]]
    raw = cv2.resize(raw, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    half = Rectification.of("left", infos[0], camera)

    def delivered_texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return waves(binning[0] * u + x, binning[1] * v + y)  # as everybody reads P of a binned image

    image = half.image(raw)
    seen_HW = np.ones(image.shape[:2], bool) if half.unseen_HW is None else ~half.unseen_HW
    rows, columns = image.shape[0] // 24, image.shape[1] // 24
    whole = seen_HW[: rows * 24, : columns * 24].reshape(rows, 24, columns, 24).all(axis=(1, 3)).ravel()
    assert whole.mean() > 0.5
    assert np.abs(offsets_px(image, delivered_texture)[whole]).max() < 0.1


def test_what_the_raw_image_does_not_show_has_no_answer() -> None:
    """A rectified image that is wider than the lens: its rim is NaN in the disparity, and only that."""
    wide = replace(LEFT, p=(120.0, 120.0, 160.0, 120.0), r=rotation(0.1, -0.25, 0.05), d=MODELS["plumb_bob"])
    right = replace(wide, tx=-12.0)
    rectification = StereoRectification.of(wide.info(), right.info(), camera_of(wide, right))
    u, v = np.meshgrid(np.arange(320.0), np.arange(240.0))
    x, y = wide.raw_of_rectified(u, v)
    ray = np.tensordot(wide.r.T, np.stack([(u - 160.0) / 120.0, (v - 120.0) / 120.0, np.ones_like(u)]), axes=1)
    radius = np.hypot(ray[0], ray[1]) / ray[2]
    k1, k2, k3 = -0.28, 0.074, 0.003
    # The derivative of r + k1 r^3 + k2 r^5 + k3 r^7, whose first root is as far as the polynomial goes.
    roots = np.roots([7 * k3, 0, 5 * k2, 0, 3 * k1, 0, 1])
    turning = min((root.real for root in roots if abs(root.imag) < 1e-9 and root.real > 0), default=np.inf)
    seen_HW = (x > -0.5) & (x < 319.5) & (y > -0.5) & (y < 239.5) & (radius < turning)
    disparity_HW = np.full((240, 320), 7.0, np.float32)
    rectification.mask_unseen(disparity_HW)
    assert 0.2 < seen_HW.mean() < 0.9
    assert (np.isfinite(disparity_HW) != seen_HW).mean() < 1e-3
    assert set(np.unique(disparity_HW[np.isfinite(disparity_HW)])) == {7.0}


def test_a_polynomial_that_turns_around_is_not_followed() -> None:
    """r (1 - 0.3 r^2) grows until r = 1.054 and is back at 0 at r = 1.826: there the middle would be seen again."""
    barrel = replace(
        LEFT, k=(100.0, 100.0, 160.0, 120.0), p=(70.0, 70.0, 160.0, 120.0), r=rotation(0.05, -0.2), d=(-0.3, 0, 0, 0, 0)
    )
    half = Rectification.of("left", barrel.info(), camera_of(barrel, replace(barrel, tx=-7.0)))
    u, v = np.meshgrid(np.arange(320.0), np.arange(240.0))
    ray = np.tensordot(barrel.r.T, np.stack([(u - 160.0) / 70.0, (v - 120.0) / 70.0, np.ones_like(u)]), axes=1)
    radius = np.where(ray[2] > 0, np.hypot(ray[0], ray[1]) / ray[2], np.inf)
    x, y = barrel.raw_of_rectified(u, v)
    again = (radius > 1.6) & np.isfinite(radius) & (np.abs(x - 160) < 50) & (np.abs(y - 120) < 50)
    assert again.any()
    assert half.unseen_HW is not None
    assert half.unseen_HW[radius > 1.06].all()
    assert not half.unseen_HW[radius < 1.04].any()


def test_nothing_behind_the_camera_is_seen() -> None:
    """A rotation by more than a right angle leaves nothing."""
    turned = replace(LEFT, r=rotation(y=3.0))
    with pytest.raises(CalibrationError, match="by the left CameraInfo nothing of its image would be left"):
        Rectification.of("left", turned.info(), camera_of(LEFT, RIGHT))


NAN = float("nan")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"k": [0.0] * 9}, r"right CameraInfo has K\[0\] = 0 and K\[4\] = 0.*run camera_calibration"),
        ({"k": [NAN] * 9}, "right CameraInfo's K holds a number that is not finite"),
        ({"d": [NAN, 0.0, 0.0, 0.0, 0.0]}, "right CameraInfo's D holds a number"),
        ({"d": [1e300, 0.0, 0.0, 0.0, 0.0]}, "right CameraInfo's D holds a number"),
        ({"d": [0.1, 0.0, 0.0]}, "D has 3 numbers: 'plumb_bob' has 0 or 4 or 5 or 8 or 12 or 14"),
        ({"d": [0.1] * 10**5}, "D has 100000 numbers"),
        ({"d": [0.1] * 5, "distortion_model": "equidistant"}, "D has 5 numbers: 'equidistant' has 0 or 4"),
        ({"d": [0.1] * 5, "distortion_model": ""}, "D has 5 numbers: '' has 0"),
        ({"distortion_model": "thin_prism" * 9}, "distortion_model is 'thin_prism.{30}': expected one of plumb_bob"),
        ({"r": [0.0] * 9}, r"right CameraInfo's R is \[0.0, .*expected the rotation"),
        ({"r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0]}, "expected the rotation"),
        ({"r": [1.0, 0.01, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]}, "expected the rotation"),
        ({"k": [1e-300, 0, 160, 0, 1e-300, 120, 0, 0, 1]}, None),
        ({"k": [200.0, 0, 1e5, 0, 200.0, 120, 0, 0, 1]}, "nothing of its image would be left: K, D, R and P do not"),
    ],
)  # fmt: skip
def test_calibrations_that_cannot_be(fields: dict[str, Any], sentence: str | None) -> None:
    """Each defect of K, D and R has its sentence; numbers that only look odd are followed without a crash."""
    info = SimpleNamespace(**{**vars(RIGHT.info()), **fields})
    if sentence is None:
        Rectification.of("right", info, camera_of(LEFT, RIGHT))
        return
    with pytest.raises(CalibrationError, match=sentence):
        StereoRectification.of(LEFT.info(), info, camera_of(LEFT, RIGHT))


def test_files_round_their_rotation() -> None:
    """Six digits of R are enough."""
    rounded = replace(LEFT, r=np.round(LEFT.r, 4))
    Rectification.of("left", rounded.info(), camera_of(LEFT, RIGHT))


def test_an_image_of_another_size_is_refused() -> None:
    """Places in a smaller image would be outside of it."""
    half = Rectification.of("left", LEFT.info(), camera_of(LEFT, RIGHT))
    with pytest.raises(MessageError, match="the image is 100x80 and is to be rectified for 320x240"):
        half.image(as_image(np.zeros((80, 100))))


def median_row_offset_px(left: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Of matching features: the median of |y_left - y_right|, and of its deviation from their common median."""
    sift = cv2.SIFT_create(1500)
    (left_points, left_words), (right_points, right_words) = (sift.detectAndCompute(i, None) for i in (left, right))
    matches = cv2.BFMatcher(cv2.NORM_L2).knnMatch(left_words, right_words, k=2)
    rows = np.array([
        left_points[first.queryIdx].pt[1] - right_points[first.trainIdx].pt[1]
        for first, second in matches if first.distance < 0.7 * second.distance
    ])  # fmt: skip
    assert len(rows) > 50
    return float(np.median(np.abs(rows))), float(np.median(np.abs(rows - np.median(rows))))


def test_real_raw_pairs_of_euroc(shared: Path) -> None:
    """Radial-tangential cameras, rectified as cv2.stereoRectify says: rows are 13 px apart before, 0.14 px after."""
    folder = shared / "data" / "stereo" / "euroc_v101_raw"

    def sensor(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        text = (folder / f"{name}.sensor.yaml").read_text()

        def numbers(key: str) -> list[float]:
            found = re.search(rf"{key}:\s*\[(.*?)\]", text, re.DOTALL)
            assert found
            return [float(number) for number in found[1].split(",")]

        fu, fv, cu, cv = numbers("intrinsics")
        pose = np.array(numbers("data")).reshape(4, 4)
        return pose, np.array([[fu, 0, cu], [0, fv, cv], [0, 0, 1]]), np.array(numbers("distortion_coefficients"))

    (left_pose, *left), (right_pose, *right) = sensor("cam0"), sensor("cam1")
    pose = np.linalg.inv(right_pose) @ left_pose
    r1, r2, p1, p2, *_ = cv2.stereoRectify(*left, *right, (752, 480), pose[:3, :3], pose[:3, 3:], alpha=0)
    infos = [
        SimpleNamespace(width=752, height=480, distortion_model="plumb_bob", k=k.ravel(), d=d, r=r.ravel(), p=p.ravel())
        for (k, d), r, p in ((left, r1, p1), (right, r2, p2))
    ]
    camera = StereoCamera.from_camera_info(*infos)
    assert camera.baseline_m == pytest.approx(0.11, abs=0.001)
    rectification = StereoRectification.of(*infos, camera)
    assert rectification.left.unseen_HW is None  # alpha = 0: only what both show
    for path in sorted((folder / "cam0").glob("*.png"))[:2]:
        raw = cv2.imread(str(path), 0), cv2.imread(str(folder / "cam1" / path.name), 0)
        assert median_row_offset_px(*raw)[0] > 5.0
        assert median_row_offset_px(*rectification.images(*raw))[0] < 0.5


def test_a_real_fisheye_pair(shared: Path) -> None:
    """A T265: rows are 8 px apart before, 1.9 px with its file, in which both cameras look the same way, and less than
    0.5 px with the third of a degree between them that was fitted here.
    """
    highlevel = pytest.importorskip("rosbags.highlevel")
    bag = next((shared / "data" / "stereo" / "ros1bag_t265_fisheye").glob("*.bag"))
    raw: dict[str, np.ndarray] = {}
    with highlevel.AnyReader([bag]) as reader:
        for connection, _, data in reader.messages([c for c in reader.connections if "image_raw" in c.topic]):
            raw[connection.topic] = np.reshape(reader.deserialize(data, connection.msgtype).data, (800, 848))
    sensors = (bag.parent / "sensors.txt").read_text().splitlines()[2:]
    numbers = [[float(one) for one in line.split("OPENCV_FISHEYE,")[1].split(",")] for line in sensors]
    offsets, turns = (0.0, -284.0 * 0.064), (np.eye(3), rotation(x=2.0 / 284.0, z=-0.002))
    infos = [
        RawCamera(848, 800, tuple(k), (284.0, 284.0, 424.0, 400.0), tx, "equidistant", tuple(d), turn).info()
        for (_, _, *k, k1, k2, k3, k4), tx, turn in zip(numbers, offsets, turns, strict=True)
        for d in [(k1, k2, k3, k4)]
    ]
    rectification = StereoRectification.of(*infos, StereoCamera.from_camera_info(*infos))
    before = median_row_offset_px(*raw.values())
    after = median_row_offset_px(*rectification.images(*raw.values()))
    assert before[0] > 5.0
    assert after[0] < 0.5
