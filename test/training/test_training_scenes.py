"""Rendered batches as the network meets padded images."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("array_api_compat")

from ffs_ros.training.scenes import WIDEST_PADDING_px, padded_edges  # noqa: E402


def _batch():
    column = torch.arange(64.0).expand(1, 1, 48, 64)
    row = torch.arange(48.0)[:, None].expand(1, 1, 48, 64)
    image = torch.cat((column, row, column + row), dim=1)
    return image, image + 1, column / 8 + 1


def test_padded_edges_replicate_and_have_no_truth():
    """Inside, everything stays; outside lies the nearest pixel from inside, in both images, without truth."""
    left, right, truth = _batch()
    padded = 0
    for seed in range(12):
        new_left, new_right, new_truth = padded_edges(left, right, truth, seed)
        known = ~new_truth.isnan()[0, 0]
        rows, columns = (known.any(dim=axis).nonzero().flatten() for axis in (1, 0))
        top, bottom, first, last = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
        assert max(top, 47 - bottom, first, 63 - last) <= WIDEST_PADDING_px
        assert known.sum() == len(rows) * len(columns)
        assert torch.equal(new_truth[0, 0][known], truth[0, 0][known])
        nearest_row = torch.arange(48).clamp(top, bottom)[:, None]
        nearest_column = torch.arange(64).clamp(first, last)
        assert torch.equal(new_left, left[..., nearest_row, nearest_column])
        assert torch.equal(new_right, right[..., nearest_row, nearest_column])
        padded += not bool(known.all())
    assert 3 <= padded <= 9  # about half


def test_padding_depends_on_the_seed_alone():
    """The same seed pads in the same way, so a resumed run sees the same batch."""
    assert all(torch.equal(a, b) for a, b in zip(padded_edges(*_batch(), 3), padded_edges(*_batch(), 3), strict=True)
               if not a.isnan().any())  # fmt: skip
