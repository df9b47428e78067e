"""What a graph looks like from outside, and which wishes are refused."""

from __future__ import annotations

import pytest

from ffs_ros import __version__
from ffs_ros.errors import ExportError
from ffs_ros.graph.form import Form, nearest


def test_shapes_and_notes():
    """Both contracts, with fixed and open axes."""
    fixed = Form((480, 736))
    assert (fixed.inputs, fixed.input_shape) == (("left", "right"), (1, 480, 736, 3))
    assert fixed.output_shape == (1, 1, 480, 736)
    open_ = Form(None, 4, "tensor", None)
    assert (open_.inputs, open_.input_shape) == (("left_image", "right_image"), ("batch", 3, "height", "width"))
    assert open_.output_shape == ("batch", 1, "height", "width")
    assert fixed.metadata == {
        "ffs_ros.version": __version__,
        "ffs_ros.height": "480",
        "ffs_ros.width": "736",
        "ffs_ros.batch": "1",
        "ffs_ros.iterations": "8",
        "ffs_ros.io": "image",
        "ffs_ros.max_disparity": "192",
        "ffs_ros.precision": "fp32",
    }
    assert {open_.metadata[f"ffs_ros.{axis}"] for axis in ("height", "width", "batch")} == {"dynamic"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (((480, 640, 3)[:2], 0), "0 iterations asked for; expected 1 to 64"),
        (((480, 640), 65), "65 iterations asked for"),
        (((480, 640), 8, "nhwc"), "no io 'nhwc'; expected one of image, tensor"),
        (((480, 640), 8, "image", 0), "a batch of 0 asked for; expected 1 to 64"),
        (((481, 640),), "a size of 481x640 asked for; .* the nearest is 480x640"),
        (((480, 630),), "the nearest is 480x640"),
        (((0, 640),), "the nearest is 32x640"),
        (((480, 999999),), "from 32 to 2048; the nearest is 480x2048"),
    ],
)
def test_senseless_forms(arguments, sentence):
    """Each is refused in a sentence that says what was expected."""
    with pytest.raises(ExportError, match=sentence):
        Form(*arguments)


def test_nearest_size():
    """Sizes round to the nearer multiple of 32 and stay in range."""
    assert nearest((481, 700)) == (480, 704)
    assert nearest((1, 5000)) == (32, 2048)
