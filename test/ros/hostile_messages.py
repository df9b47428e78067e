"""Stereo messages that a broken driver might send: sound ones of which some fields are tampered with."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from depth_oracle import FRAME_IDS
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from reference_pictures import DECODERS
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

TOPICS = ("left/camera_info", "right/camera_info", "left/image_rect", "right/image_rect")
IMAGES, INFOS = TOPICS[2:], TOPICS[:2]
STAMPS = ("header.stamp.sec", "header.stamp.nanosec")
LONG = 2**20


class Tampering(NamedTuple):
    """One field of one message gets a value: ``p[3]`` is an element, ``data`` becomes so many bytes longer."""

    topic: str
    field: str
    value: Any


class Exchange(NamedTuple):
    """One pair with its calibration, as it goes over the wire."""

    messages: dict[str, Any]
    """By topic, in the order of their arrival."""
    tampered: frozenset[tuple[str, str]]
    """Topic and field of everything that is not sound."""

    @property
    def stamps_are_sound(self) -> bool:
        """Whether the images belong together and to this time."""
        return not {(topic, field) for topic in IMAGES for field in STAMPS} & self.tampered


def sound_messages(seed: int, encoding: str, height: int, width: int, stamp_ns: int) -> dict[str, Any]:
    """Messages of a plausible camera, with noise for pictures: every byte may be anything, also a hole's.

    Of the sensor, which P is for, the images may be a region, and a pixel of them a block.
    """
    chance = np.random.default_rng(seed)
    rows = height * 3 // 2 if encoding.startswith("nv") else height
    step = width * DECODERS[encoding][0] + int(chance.integers(0, 4))
    f, cx, baseline_m = (float(chance.uniform(*limits)) for limits in ((20, 800), (0, width), (0.01, 0.5)))
    bins = [int(chance.choice((0, 1, 1, 2, 3))) for _ in range(2)]
    binning_y, binning_x = (max(1, number) for number in bins)
    roi = RegionOfInterest()
    if chance.random() < 0.3:
        roi.x_offset, roi.y_offset = (int(offset) for offset in chance.integers(0, 50, 2))
        roi.height, roi.width = height * binning_y, width * binning_x
    made: dict[str, Any] = {}
    for side, cx_px, tx in (("left", cx, 0.0), ("right", cx + float(chance.uniform(-9, 9)), -f * baseline_m)):
        info = CameraInfo(distortion_model="plumb_bob", d=[0.0] * 5, binning_y=bins[0], binning_x=bins[1], roi=roi)
        info.height, info.width = height * binning_y + 2 * roi.y_offset, width * binning_x + 2 * roi.x_offset
        info.p = [f, 0.0, cx_px, tx, 0.0, f, height / 2, 0.0, 0.0, 0.0, 1.0, 0.0]
        info.k = [f, 0.0, cx_px, 0.0, f, height / 2, 0.0, 0.0, 1.0]
        info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        image = Image(height=height, width=width, encoding=encoding, step=step)
        pixels = chance.integers(0, 256, rows * step, np.uint8)
        pixels[chance.random(rows * step) < 0.05] = 255  # a full green is a hole
        image.data = array("B", pixels.tobytes())
        image.is_bigendian = int(chance.integers(0, 2))
        made[f"{side}/camera_info"], made[f"{side}/image_rect"] = info, image
        for message in (info, image):
            message.header.frame_id = FRAME_IDS[side]
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    return {topic: made[topic] for topic in TOPICS}


def exchange_of(sound: dict[str, Any], tamperings: Iterable[Tampering] = ()) -> Exchange:
    """The messages with those changes, as they come out of the middleware at the other end."""
    for tampering in tamperings:
        _tamper(sound[tampering.topic], tampering.field, tampering.value)
    received = {topic: deserialize_message(serialize_message(m), type(m)) for topic, m in sound.items()}
    return Exchange(received, frozenset(tampering[:2] for tampering in tamperings))


def _tamper(message: Any, field: str, value: Any) -> None:
    owner, _, name = field.rpartition(".")
    target = operator.attrgetter(owner)(message) if owner else message
    if field == "data":
        target.data = target.data[: len(target.data) + min(value, 0)] + array("B", b"\xa5" * value)
    elif name.endswith("]"):
        name, index = name[:-1].split("[")
        getattr(target, name)[int(index)] = value
    else:
        setattr(target, name, value)


def _sizes(*usual: int) -> st.SearchStrategy[int]:
    extremes = (0, 1, 2, 3, 16384, 16385, 2**31 - 1, 2**31, 2**32 - 1)
    return st.sampled_from((*usual, *extremes)) | st.integers(0, 40) | st.integers(0, 2**32 - 1)


TEXTS = st.text(max_size=20) | st.sampled_from(
    ("", "\0", "rgb8\0", "a\0b", "\x1b[31mred", "\r\n[ERROR] fake", "%s%n", "x" * LONG, "\u4e2d" * 1000, "\U0001f600")
)
NUMBERS = st.floats() | st.sampled_from(
    (0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e-320, 1e-7, 1e6, 1e30, -1e30)
)
ENCODINGS = st.sampled_from(
    (*DECODERS, "32FC1", "64FC3", "RGB8", "rgb8 ", "jpeg", "yuv420", "16SC1", "8UC2", "bayer_rggb12", "rgb8; png")
)


def _tamperings() -> st.SearchStrategy[Tampering]:
    header = {
        "header.stamp.sec": st.integers(-(2**31), 2**31 - 1) | st.sampled_from((0, -1, 1, 2**31 - 1, -(2**31))),
        "header.stamp.nanosec": st.sampled_from((0, 10**9, 2**32 - 1)) | st.integers(0, 2**32 - 1),
        "header.frame_id": TEXTS | st.sampled_from((*FRAME_IDS.values(),)),
    }
    image = header | {
        "height": _sizes(8, 12),
        "width": _sizes(8, 12),
        "step": _sizes(24, 36),
        "encoding": ENCODINGS | TEXTS,
        "is_bigendian": st.integers(0, 255),
        "data": st.integers(-400, 400) | st.sampled_from((-1, -(10**6), 1, LONG)),
    }
    region = {f"roi.{name}": _sizes(8, 12) for name in ("x_offset", "y_offset", "height", "width")}
    info = header | region | {
        "height": _sizes(8, 12),
        "width": _sizes(8, 12),
        "binning_x": _sizes(),
        "binning_y": _sizes(),
        "roi.do_rectify": st.booleans(),
        "distortion_model": TEXTS | st.sampled_from(("rational_polynomial", "equidistant", "PLUMB_BOB")),
        "d": st.lists(NUMBERS | st.floats(-1.0, 1.0), max_size=14) | st.just([0.1] * 10_000),
        **{f"p[{index}]": NUMBERS for index in range(12)},
        **{f"{name}[{index}]": NUMBERS for name in "kr" for index in (0, 2, 4, 8)},
    }  # fmt: skip

    def of(topic: str, fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Tampering]:
        return st.sampled_from(sorted(fields)).flatmap(
            lambda field: fields[field].map(lambda value: Tampering(topic, field, value))
        )

    return st.one_of(*(of(t, image) for t in IMAGES), *(of(t, info) for t in INFOS))


class Plan(NamedTuple):
    """What is drawn of an exchange; its stamp comes when it is sent."""

    seed: int
    encoding: str
    height: int
    width: int
    tamperings: tuple[Tampering, ...]
    same_on_both: bool
    """Both sides are tampered with alike, as by a driver that is wrong about both cameras."""

    def exchange(self, stamp_ns: int) -> Exchange:
        """The messages."""
        changes = [*self.tamperings]
        if self.same_on_both:
            changes += [t._replace(topic=t.topic.replace("left", "right")) for t in self.tamperings]
        return exchange_of(sound_messages(self.seed, self.encoding, self.height, self.width, stamp_ns), changes)


def plans() -> st.SearchStrategy[Plan]:
    """Exchanges with one to four fields that are not sound."""
    return st.builds(
        Plan,
        seed=st.integers(0, 2**32 - 1),
        encoding=st.sampled_from((*DECODERS,)),
        height=st.integers(1, 6).map(lambda half: 2 * half),
        width=st.integers(1, 6).map(lambda half: 2 * half),
        tamperings=st.lists(_tamperings(), min_size=1, max_size=4).map(tuple),
        same_on_both=st.booleans(),
    )
