"""The floor's arithmetic against the totals that were counted layer by layer."""

from __future__ import annotations

import pytest

from ffs_ros.floor import Peak, floor, macs, peak_of, traffic_bytes

SIZES = {"480x640": (480, 640), "320x736": (320, 736), "480x736": (480, 736)}
H200, ORIN, RTX_3090 = Peak(790, 4300), Peak(42.7, 205), Peak(71, 936)

# Iterations, size: 1e9 multiply-adds, GB written, GB written and read; rounded as they were counted.
COUNTED = {
    (4, "480x640"): (269.4, 1.09, 2.31),
    (4, "320x736"): (206.6, 0.84, 1.78),
    (4, "480x736"): (309.9, 1.25, 2.65),
    (8, "480x640"): (331.6, 1.40, 3.03),
    (8, "320x736"): (254.3, 1.08, 2.33),
    (8, "480x736"): (381.4, 1.60, 3.48),
}
# Of each: compute, memory written, memory written and read, in ms.
FLOORS = {
    (4, "480x640"): {H200: (0.68, 0.25, 0.54), ORIN: (12.6, 5.3, 11.3), RTX_3090: (7.6, 1.2, 2.5)},
    (4, "320x736"): {H200: (0.52, 0.20, 0.41), ORIN: (9.7, 4.1, 8.7), RTX_3090: (5.8, 0.9, 1.9)},
    (4, "480x736"): {H200: (0.78, 0.29, 0.62), ORIN: (14.5, 6.1, 12.9), RTX_3090: (8.7, 1.3, 2.8)},
    (8, "480x640"): {H200: (0.84, 0.33, 0.70), ORIN: (15.5, 6.8, 14.8), RTX_3090: (9.3, 1.5, 3.2)},
    (8, "320x736"): {H200: (0.64, 0.25, 0.54), ORIN: (11.9, 5.3, 11.4), RTX_3090: (7.2, 1.2, 2.5)},
    (8, "480x736"): {H200: (0.97, 0.37, 0.81), ORIN: (17.9, 7.8, 17.0), RTX_3090: (10.7, 1.7, 3.7)},
}


@pytest.mark.parametrize(("iterations", "size"), COUNTED)
def test_totals_are_those_that_were_counted(iterations: int, size: str) -> None:
    """Three sizes, two numbers of iterations, to half of the last digit."""
    giga_macs, written_GB, moved_GB = COUNTED[iterations, size]
    assert macs(SIZES[size], iterations) / 1e9 == pytest.approx(giga_macs, abs=0.05)
    assert [n / 1e9 for n in traffic_bytes(SIZES[size], iterations)] == pytest.approx([written_GB, moved_GB], abs=0.005)


@pytest.mark.parametrize(("iterations", "size"), FLOORS)
def test_floors_are_those_of_the_totals(iterations: int, size: str) -> None:
    """On three GPUs; the totals were rounded before they were divided."""
    for peak, expected_ms in FLOORS[iterations, size].items():
        found = floor(SIZES[size], iterations, peak)
        last_digit = 0.01 if peak is H200 else 0.1
        assert tuple(found) == pytest.approx(expected_ms, abs=0.75 * last_digit)
        assert found.ms == max(found.compute_ms, found.written_ms)


def test_a_floor_may_be_memorys() -> None:
    """Whichever bound is larger; nothing is read twice below it."""
    found = floor((480, 640), 8, Peak(10_000, 100))
    assert found.ms == found.written_ms == pytest.approx(14.0, abs=0.05)


@pytest.mark.parametrize(
    ("gpu", "multiprocessors", "peak"),
    [
        ("NVIDIA H200", 132, H200),
        ("Orin", 16, ORIN),
        ("NVIDIA GeForce RTX 3090", 82, RTX_3090),
        ("NVIDIA Thor", 20, Peak(259, 273)),
        ("Orin", 8, None),  # Orin NX
        ("NVIDIA H200", 16, None),  # a slice of one
        ("NVIDIA H200 NVL", 132, None),
    ],
)
def test_a_peak_belongs_to_one_gpu(gpu: str, multiprocessors: int, peak: Peak | None) -> None:
    """Relatives with the same name are told apart by their multiprocessors."""
    assert peak_of(gpu, multiprocessors) == peak
