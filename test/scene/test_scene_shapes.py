"""Rays meet solids where a hand calculation says."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.scene.shapes import BOX, CYLINDER, ELLIPSOID, PATCH, ROOM, WAVES, Rays, Solids, nearest

xp = pytest.importorskip("array_api_compat.numpy")

AS_IS = np.eye(3)
UPRIGHT = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0))
"""A cylinder's own z is the vertical."""
DIAGONAL = ((0.5**0.5, 0.0, 0.5**0.5), (0.0, 1.0, 0.0), (-(0.5**0.5), 0.0, 0.5**0.5))
WHOLE = (3.0, 1.0, 2.0, 1.0, 2.0, -10.0) + 3 * WAVES * (0.0,)


def depths(kind, x, y=0.0, *, centre=(0, 0, 2), half=(0.5, 0.5, 0.5), axes=AS_IS, origin=(0, 0, 0), cut=None):
    """Depths of the rays (x, y, 1) from ``origin`` to one solid."""
    x, y = np.broadcast_arrays(np.asarray(x, float), y)
    solids = Solids(*(np.array(part, float)[None, None] for part in (centre, axes, half)), None)
    if cut is not None:
        solids = solids._replace(cut=np.array(cut, float)[None, None])
    found, _ = nearest(xp, kind, solids, Rays(np.array([origin], float), x.reshape(1, -1), y.reshape(1, -1)))
    return found[0]


@pytest.mark.parametrize(
    ("kind", "options", "x", "y", "expected"),
    [
        (ELLIPSOID, {}, [0.0, 0.2, 0.3], 0.0, [1.5, (4 - 0.4**0.5) / 2.08, np.inf]),  # 1.04 t^2 - 4 t + 3.75 = 0
        (ELLIPSOID, {"centre": (0, 0, 3), "half": (0.1, 0.2, 1.0)}, [0.0], 0.0, [2.0]),
        (BOX, {"centre": (1, 0, 2)}, [0.3, 0.4, 0.1], 0.0, [0.5 / 0.3, 1.5, np.inf]),  # a side, the front, past it
        (BOX, {"axes": DIAGONAL}, [0.0], 0.0, [2.0 - 0.5**0.5]),  # an edge
        (CYLINDER, {"axes": UPRIGHT, "half": (0.5, 0.5, 1.0)}, [0.0, 0.2], [0.5, 0.0], [1.5, (4 - 0.4**0.5) / 2.08]),
        (CYLINDER, {"axes": UPRIGHT, "half": (0.5, 0.5, 1.0)}, [0.0], 0.8, [np.inf]),
        (CYLINDER, {"axes": UPRIGHT, "half": (0.5, 0.5, 1.0), "origin": (0, 2, 0)}, [0.0], -0.6, [1 / 0.6]),  # its lid
        (PATCH, {}, [0.0, 0.24, 0.26], 0.0, [2.0, 2.0, np.inf]),
        (PATCH, {"axes": UPRIGHT, "origin": (0, -1, 0), "half": (9, 9, 9)}, [0.0, 0.0], [0.5, -0.5], [2.0, np.inf]),
        (ROOM, {"centre": (0, 0, 0), "half": (2, 1, 5)}, [0.0, 1.0, 0.0], [0.0, 0.0, 0.25], [5.0, 2.0, 4.0]),
    ],
)  # fmt: skip
def test_depths_by_hand(kind, options, x, y, expected):
    """Front, side, edge, lid and beside, of every kind."""
    np.testing.assert_allclose(depths(kind, x, y, **options), expected, rtol=1e-9)


@pytest.mark.parametrize("kind", [BOX, ELLIPSOID, CYLINDER, PATCH, ROOM])
def test_what_is_behind_is_not_met(kind):
    """No depth is negative."""
    assert np.isinf(depths(kind, [0.0, 0.1], centre=(0, 0, -2))).all()


def test_the_nearer_of_two_is_met():
    """Depth and number of the first solid along each ray."""
    solids = Solids(
        np.array([[[0.0, 0, 3], [0.5, 0, 2]]]), np.tile(np.eye(3), (1, 2, 1, 1)), np.full((1, 2, 3), 0.4), None
    )
    depth, index = nearest(xp, BOX, solids, Rays(np.zeros((1, 3)), np.array([[0.0, 0.2]]), np.zeros((1, 2))))
    np.testing.assert_allclose(depth, [[2.6, 1.6]])
    np.testing.assert_array_equal(index, [[0, 1]])


def test_cuts_leave_a_disc_bars_or_waves():
    """Rays to (0.9, 0.9) of the square pass a disc; bars take the first part of each period; waves' tops stay."""
    corner = {"x": [0.0, 0.9], "y": [0.0, 0.9], "centre": (0, 0, 1), "half": (1, 1, 1)}
    np.testing.assert_array_equal(depths(PATCH, **corner, cut=WHOLE), [1.0, 1.0])
    np.testing.assert_array_equal(depths(PATCH, **corner, cut=(1.0, *WHOLE[1:])), [1.0, np.inf])
    bars = (3.0, 0.5, 0.3, 1.0, -1.0, -10.0, *WHOLE[6:])
    x = np.array([0.0, 0.1, 0.2, 0.5, 0.6, 0.7])
    found = depths(PATCH, x, centre=(0, 0, 1), half=(1, 1, 1), cut=bars)
    np.testing.assert_array_equal(found, [1.0, 1.0, np.inf, 1.0, 1.0, np.inf])
    waves = (*WHOLE[:5], 0.5, 4.0, 0.0, 0.0, *WHOLE[9:])  # sin(4 x) >= 0.5
    found = depths(PATCH, [0.1, 0.2, 0.6, 0.7], centre=(0, 0, 1), half=(1, 1, 1), cut=waves)
    np.testing.assert_array_equal(found, [np.inf, 1.0, 1.0, np.inf])
