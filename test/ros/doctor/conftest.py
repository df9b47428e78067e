"""One rendered pair for all tests of what pictures give away."""

from __future__ import annotations

from typing import Any

import pytest

from ffs_ros.geometry import StereoCamera


@pytest.fixture(scope="session")
def scene() -> Any:
    """A ``RenderedPair`` of 320x240, with principal points that differ by -2 px."""
    pytest.importorskip("array_api_compat")
    from ffs_ros.scene import render_pair

    return render_pair(StereoCamera(320, 240, 260.0, 260.0, 159.5, 161.5, 119.5, 0.12))
