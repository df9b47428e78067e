"""Fixtures that every test may ask for; the folders below ``test/`` add their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the source tree."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of conformance outputs and real stereo pairs; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("FFS_SHARED", CHECKOUT.parent / "shared"))
    if not (folder / "conformance").is_dir() or not (folder / "data" / "stereo").is_dir():
        pytest.skip(
            f"no reference data in {folder} (expected its conformance/ and data/stereo/): set FFS_SHARED to its folder"
        )
    return folder
