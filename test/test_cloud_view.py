"""A cloud seen from the side: what is where, and what hides what."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.cloud_view import view_points

RED, GREEN, BLUE = np.eye(3, dtype=np.uint8) * 200


def cloud(*patches: tuple[tuple[float, float, float], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Squares of 0.4 m at these centres, upright to the camera's axis, in these colours."""
    offsets_m = np.linspace(-0.2, 0.2, 41)
    x_m, y_m = np.meshgrid(offsets_m, offsets_m)
    points = [np.stack([x_m + x, y_m + y, np.full_like(x_m, z)], axis=2) for (x, y, z), _ in patches]
    colours = [np.broadcast_to(colour, (41, 41, 3)) for _, colour in patches]
    return np.concatenate(points).astype(np.float32), np.concatenate(colours)


def middle_of(picture_hw3: np.ndarray, colour: np.ndarray) -> tuple[float, float]:
    """Mean row and column of a colour."""
    rows, columns = np.nonzero((picture_hw3 == colour).all(axis=2))
    assert rows.size
    return float(rows.mean()), float(columns.mean())


def test_x_is_to_the_right_and_y_is_down() -> None:
    """From the camera's own place the picture is the camera's."""
    view = view_points(
        *cloud(((1.0, 0.0, 3.0), RED), ((0.0, 1.0, 3.0), GREEN), ((-1.0, -1.0, 3.0), BLUE)), (200, 300), 0, 0
    )
    assert view.shape == (200, 300, 3)
    red, green, blue = (middle_of(view, colour) for colour in (RED, GREEN, BLUE))
    assert red[1] > green[1] > blue[1]
    assert green[0] > red[0] > blue[0]


def test_the_viewer_goes_to_the_right_and_up() -> None:
    """From there the far one of two patches on the axis appears to the right of the near one, or above it."""
    patches = cloud(((0.0, 0.0, 2.0), RED), ((0.0, 0.0, 4.0), BLUE))
    near, far = (middle_of(view_points(*patches, (200, 300), 30, 0), colour) for colour in (RED, BLUE))
    assert far[1] > near[1] + 20
    assert far[0] == pytest.approx(near[0], abs=3)
    near, far = (middle_of(view_points(*patches, (200, 300), 0, 30), colour) for colour in (RED, BLUE))
    assert far[0] < near[0] - 20
    assert far[1] == pytest.approx(near[1], abs=3)


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_one_hides_the_other(order: int) -> None:
    """Whatever comes first in the cloud; no background shows through a surface."""
    points, colours = cloud(((0.0, 0.0, 4.0), BLUE), ((0.0, 0.0, 2.0), RED))
    view = view_points(points[::order], colours[::order], (120, 120), 0, 0)
    rows, columns = np.nonzero((view == RED).all(axis=2))
    assert (view[rows.min() : rows.max(), columns.min() : columns.max()] == RED).all()
    assert (rows.max() - rows.min()) > 100  # nearly all points fit, and little room is left


@pytest.mark.filterwarnings("error")
def test_points_that_are_none_are_not_drawn() -> None:
    """NaN is left out; without any point, and with one, there still is a picture."""
    points, colours = cloud(((0.0, 0.0, 2.0), RED))
    points[:, 20:] = np.nan
    assert (view_points(points, colours) == RED).all(axis=2).any()
    nothing = view_points(np.full_like(points, np.nan), colours, (30, 40))
    assert nothing.shape == (30, 40, 3)
    assert len(np.unique(nothing)) == 1
    one = np.full((1, 1, 3), [0.0, 0.0, 1.0], np.float32)
    assert (view_points(one, RED[None, None], (30, 40)) == RED).all(axis=2).sum() == 9
