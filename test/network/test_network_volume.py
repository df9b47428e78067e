"""Volume, look-up and upsampling against answers one can work out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ffs_ros.network.backbone import FourierPosition  # noqa: E402
from ffs_ros.network.filtering import HeadAttention, expected_plane, plane_position  # noqa: E402
from ffs_ros.network.lookup import LookUp, sample_around  # noqa: E402
from ffs_ros.network.upsampling import convex_upsample  # noqa: E402
from ffs_ros.network.volume import (  # noqa: E402
    GROUPS,
    PLANES,
    all_pairs_correlation,
    concatenation,
    group_correlation,
)


@pytest.fixture
def features() -> tuple[torch.Tensor, torch.Tensor]:
    """Random B,C,h,w features whose right view is the left one moved by 3 columns."""
    generator = torch.Generator().manual_seed(1)
    wide = torch.randn(2, 16, 3, 63, generator=generator)
    return wide[..., :60], wide[..., 3:]


def test_group_correlation_is_the_cosine_of_each_group(features):
    """Every entry is the cosine of two groups of channels d columns apart, and 0 where the right view ends."""
    left, right = features
    volume = group_correlation(left, right)
    assert volume.shape == (2, GROUPS, PLANES, 3, 60)
    for d in (0, 1, 3, 47):
        for x in (0, 2, 3, 47, 59):
            for group in (0, 7):
                channels = slice(2 * group, 2 * group + 2)
                expected = torch.zeros(2, 3)
                if x >= d:
                    expected = torch.cosine_similarity(left[:, channels, :, x], right[:, channels, :, x - d], dim=1)
                torch.testing.assert_close(volume[:, group, d, :, x], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(volume[:, :, 3, :, 3:], torch.ones(2, GROUPS, 3, 57), atol=1e-6, rtol=0)


def test_concatenation_moves_the_right_view_by_each_disparity(features):
    """On plane d the left half is the left view; the right half is the right view moved by d, 0 before it begins."""
    left, right = features
    volume = concatenation(left, right)
    assert volume.shape == (2, 32, PLANES, 3, 60)
    for d in (0, 1, 46, 47):
        assert torch.equal(volume[:, :16, d], left)
        assert torch.equal(volume[:, 16:, d, :, d:], right[..., : 60 - d])
        assert not volume[:, 16:, d, :, :d].any()


def test_all_pairs_correlation_finds_the_shifted_pixel(features):
    """The best partner of a left pixel is the right pixel 3 columns further left, at similarity 1."""
    correlation = all_pairs_correlation(*features)
    assert correlation.shape == (2, 3, 60, 60)
    best, partner = correlation[:, :, 3:].max(dim=-1)
    assert torch.equal(partner, torch.arange(57).expand(2, 3, -1))
    torch.testing.assert_close(best, torch.ones(2, 3, 57), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("centre", "expected"),
    [
        (10.0, [7, 8, 9, 10, 11, 12, 13, 14, 15]),
        (10.25, [7.25, 8.25, 9.25, 10.25, 11.25, 12.25, 13.25, 14.25, 15.25]),
        (-0.25, [0, 0, 0, 0, 0.75, 1.75, 2.75, 3.75, 4.75]),  # each neighbour outside counts as 0 by itself
        (19.5, [16.5, 17.5, 18.5, 19.5, 10.0, 0, 0, 0, 0]),
        (-4.75, [0, 0, 0, 0, 0, 0, 0, 0, 0.25]),
        (-5.0, [0] * 9),
        (1e6, [0] * 9),
        (-1e6, [0] * 9),
    ],
)
def test_sampling_is_linear_and_zero_outside(centre, expected):
    """Nine values around the centre, linear between entries, zero beyond either end."""
    ramp = torch.arange(1.0, 21.0)  # entry i holds i + 1, so that entry 0 differs from the outside
    taps = sample_around(ramp.view(1, 1, 1, 1, 20), torch.full((1, 1, 1), centre))
    torch.testing.assert_close(taps.flatten(), torch.tensor(expected, dtype=torch.float32))


def test_look_up_order_and_positions():
    """Per level: geometry by channel then tap at d, then correlation at x - d; level 1 holds averages at half of it."""
    geometry = torch.arange(48.0).view(1, 1, 48, 1, 1) + torch.tensor([0.0, 1000.0]).view(1, 2, 1, 1, 1)
    geometry = geometry.expand(1, 2, 48, 1, 32)
    correlation = torch.arange(32.0).expand(1, 1, 32, 32)
    looked_up = LookUp(geometry, correlation)(torch.full((1, 1, 1, 32), 10.5))[0, :, 0, 25]  # column 25
    taps = torch.arange(-4.0, 5.0)
    expected = torch.cat((
        10.5 + taps, 1010.5 + taps, 14.5 + taps,
        # Entry k of level 1 is the average of 2k and 2k + 1, hence 2k + 0.5.
        2 * (5.25 + taps) + 0.5, 1000.5 + 2 * (5.25 + taps), 2 * (7.25 + taps) + 0.5,
    ))  # fmt: skip
    torch.testing.assert_close(looked_up, expected)


def test_expected_plane_is_the_mean_under_the_softmax():
    """Equal scores give the middle of 0..47, one dominant score its plane."""
    logits = torch.zeros(1, 48, 1, 2)
    logits[0, 31, 0, 1] = 100
    torch.testing.assert_close(expected_plane(logits), torch.tensor([[[[23.5, 31.0]]]]))


def test_convex_upsample_blends_the_3x3_neighbours_row_by_row():
    """Weight n belongs to row n // 3, column n % 3; disparities grow fourfold; outside the image lies 0."""
    disparity = torch.arange(1.0, 13.0).view(1, 1, 3, 4)
    for n in range(9):
        weights = torch.zeros(1, 9, 12, 16)
        weights[:, n] = 1
        upsampled = convex_upsample(disparity, weights)
        padded = np.pad(disparity[0, 0].numpy(), 1)[n // 3 : n // 3 + 3, n % 3 : n % 3 + 4]
        assert upsampled.shape == (1, 1, 12, 16)
        np.testing.assert_array_equal(upsampled[0, 0].numpy(), 4 * np.kron(padded, np.ones((4, 4))))


def test_convex_upsample_weighs_each_pixel_by_itself():
    """The weights of an output pixel are those at its own row and column."""
    weights = torch.zeros(1, 9, 4, 8)
    weights[:, 4] = torch.arange(32.0).view(4, 8)
    upsampled = convex_upsample(torch.tensor([[[[1.0, 2.0]]]]), weights)[0, 0]
    columns = torch.tensor([4.0, 4, 4, 4, 8, 8, 8, 8])
    torch.testing.assert_close(upsampled, torch.arange(32.0).view(4, 8) * columns)


def test_plane_position_follows_its_formula():
    """sin and cos of the plane's number in turn, at frequencies 10000^(-2i/28)."""
    table = plane_position(12, 28)
    assert table.shape == (12, 28)
    for plane, i in ((0, 0), (5, 3), (11, 13)):
        angle = plane * 10000 ** (-2 * i / 28)
        assert table[plane, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
        assert table[plane, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_fourier_position_counts_from_one_rows_first():
    """Channels 0..31 hold waves of the row, 32..63 of the column; the last row and column stand at a full turn."""
    position = FourierPosition(64)
    with torch.no_grad():
        position.token_projection.weight.copy_(torch.eye(64)[:, :, None, None])
        position.token_projection.bias.zero_()
        waves = position(4, 8)[0].numpy()
    for row, column, pair in ((0, 0, 0), (1, 5, 3), (3, 7, 15)):
        slower = 10000 ** (2 * pair / 32)
        for axis, angle in ((0, 2 * math.pi * (row + 1) / 4), (32, 2 * math.pi * (column + 1) / 8)):
            assert waves[axis + 2 * pair, row, column] == pytest.approx(math.sin(angle / slower), abs=1e-5)
            assert waves[axis + 2 * pair + 1, row, column] == pytest.approx(math.cos(angle / slower), abs=1e-5)


def test_attention_keeps_planes_apart():
    """Changing one plane changes that plane's output and no other's."""
    torch.manual_seed(0)
    attention = HeadAttention(28)
    tokens = torch.randn(5, 12, 28)
    changed = tokens.clone()
    changed[2, 7] += 1
    differs = (attention(tokens) != attention(changed)).any(dim=-1)
    assert differs.nonzero().tolist() == [[2, 7]]
