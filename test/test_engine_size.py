"""Sizes as they are typed, and what an engine makes of them."""

from __future__ import annotations

import pytest

from ffs_ros.engine_size import in_words, settled_size, size_in
from ffs_ros.errors import EngineError


@pytest.mark.parametrize(("text", "size"), [("auto", None), ("480x736", (480, 736)), ("0320X0736", (320, 736))])
def test_rows_come_first(text: str, size: tuple[int, int] | None) -> None:
    """As with ffs export."""
    assert size_in(text) == size


@pytest.mark.parametrize(
    "text", ["", "480", "480x", "x736", "480 x 736", "480x736x3", "-480x736", "0x736", "48000x1", "a" * 99]
)
def test_anything_else_is_refused(text: str) -> None:
    """With what was typed, cut short, and an example."""
    with pytest.raises(
        EngineError, match=f"engine_size is '{text[:40]}': expected rows x columns, such as 480x736, or auto"
    ):
        size_in(text)


def test_an_open_axis_takes_what_is_wanted() -> None:
    """Without a wish the engine's own size stays, open or not; the wish may also be the size that it has."""
    assert settled_size("e", (None, None), 32, None) == (None, None)
    assert settled_size("e", (480, 736), 32, None) == (480, 736)
    assert settled_size("e", (None, None), 32, (320, 736)) == (320, 736)
    assert settled_size("e", (480, None), 32, (480, 736)) == (480, 736)
    assert settled_size("e", (480, 736), 32, (480, 736)) == (480, 736)
    assert settled_size("e", (50, 70), 1, (50, 70)) == (50, 70)
    assert in_words((480, None)) == "480xany"


@pytest.mark.parametrize(
    ("own", "wanted", "sentence"),
    [
        ((480, 736), (320, 736), "engine_size is 320x736 and 'bp2.onnx' takes 480x736: name an engine of that size "
         r".ffs export CHECKPOINT -o FILE.onnx --size 320x736. or one of open size .--dynamic-size., or leave"),
        ((480, None), (320, 736), "'bp2.onnx' takes 480xany: name an engine"),
        ((480, 736), (4000, 736), "'bp2.onnx' takes 480x736: name one of open size"),
        ((None, None), (300, 700), "engine_size is 300x700 and 'bp2.onnx' takes multiples of 32; the next is 320x704"),
    ],
)  # fmt: skip
def test_what_cannot_be(own: tuple[int | None, int | None], wanted: tuple[int, int], sentence: str) -> None:
    """The sentence has both sizes and the ways out."""
    with pytest.raises(EngineError, match=sentence):
        settled_size("bp2.onnx", own, 32, wanted)
