"""Each protocol on pixels whose figures are known by hand, and against a second implementation, pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ffs_ros.evaluation.protocols import PROTOCOLS, Answer, Figure, kitti, middlebury, native, raft, tao, tao_finish
from ffs_ros.metrics import filled

NAN, INF = math.nan, math.inf


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def answer(
    disparity: np.ndarray,
    truth: np.ndarray,
    seen: np.ndarray | None = None,
    dataset: str = "FSD",
    limit_px: float = INF,
) -> Answer:
    return Answer(disparity, filled(disparity), truth, seen, dataset, limit_px)


def values(figures: dict[str, Figure]) -> dict[str, float]:
    return {name: figure.value for name, figure in figures.items()}


# Errors 0, 1, 2, 3, 4, 4 px; the last is less than 5 % of its truth.
TRUTH = row(10, 20, 30, 40, 50, 100)
DISPARITY = row(10, 21, 28, 43, 46, 104)
SEEN = np.array([[True, True, True, True, False, False]])


def test_native_by_hand() -> None:
    """Means and shares of all pixels, each pair of weight 1; a hole takes the smaller neighbour."""
    assert values(native(answer(DISPARITY, TRUTH))) == pytest.approx(
        {"epe": 14 / 6, "bp1": 4 / 6, "bp2": 3 / 6, "bp3": 2 / 6, "d1": 1 / 6, "rmse": math.sqrt(46 / 6)}
    )
    holed = DISPARITY.copy()
    holed[0, 1] = NAN  # becomes 10: off by 10
    assert native(answer(holed, TRUTH))["epe"] == Figure((14 - 1 + 10) / 6, 1.0)


def test_native_has_a_limit_and_leaves_pairs_without_truth_out() -> None:
    """Truth from the limit on does not count; where nothing does there is no figure."""
    assert native(answer(DISPARITY, TRUTH, limit_px=50.0))["epe"].value == 6 / 4
    assert native(answer(DISPARITY, TRUTH * NAN)) == {}


def test_tao_by_hand() -> None:
    """abs_rel is a sum, sq_rel divides by the deviation from the mean, and both containers' names are there."""
    found = values(tao(answer(row(2, 4), row(1, 5))))
    rmse_log = math.sqrt((math.log(2) ** 2 + math.log(0.8) ** 2) / 2)
    expected = {"epe": 1, "bp1": 0, "bp2": 0, "bp3": 0, "d1": 0, "rmse": 1, "abs_rel": 1.2, "sq_rel": 0.5}
    for prefix in ("", "val/"):
        for name, value in {**expected, "rmse_log": rmse_log}.items():
            assert found[prefix + name] == pytest.approx(value)
    assert (found["val/d2"], found["val/d3"]) == (0, 0)
    assert "d2" not in found


def test_tao_takes_the_logarithm_of_0_in_one_container_only() -> None:
    """The other one has a least disparity of 1e-8."""
    found = values(tao(answer(row(0, 5), row(1, 5))))
    assert found["val/rmse_log"] == INF
    assert found["rmse_log"] == pytest.approx(math.log(1e8) / math.sqrt(2))


def test_tao_counts_what_the_mask_keeps_below_the_largest_disparity() -> None:
    """Strictly above 0, strictly below the limit."""
    truth = row(0, 1, 191.5, 192, 300, 7)
    keep = np.array([[True] * 5 + [False]])
    assert values(tao(answer(truth + 2, truth, keep, limit_px=192.0)))["epe"] == 2
    assert tao(answer(row(5), row(192), limit_px=192.0)) == {}


def test_tao_aggregates_in_two_ways() -> None:
    """rmse 1 and 3.5: the mean is 2.25, and PyTorch's the root of that."""
    means = {"val/rmse": 2.25, "rmse": 2.25, "val/rmse_log": 0.25, "rmse_log": 0.25, "val/epe": 4.0}
    assert tao_finish(means) == {"val/rmse": 1.5, "rmse": 2.25, "val/rmse_log": 0.5, "rmse_log": 0.25, "val/epe": 4.0}


@pytest.mark.parametrize(
    ("dataset", "bad", "weight"),
    [("Eth3d", 4 / 6, 1), ("Middlebury", 3 / 6, 1), ("Kitti", 2 / 6, 6), ("FSD", 4 / 6, 6)],
)
def test_raft_has_a_threshold_for_each_data_set(dataset: str, bad: float, weight: int) -> None:
    """1, 2 and 3 px; KITTI's and FlyingThings' pixels are pooled; occluded ones count."""
    found = raft(answer(DISPARITY, TRUTH, SEEN, dataset))
    assert found == {"epe": Figure(14 / 6, 1.0), "d1": Figure(bad, weight)}


@pytest.mark.parametrize(("dataset", "counted"), [("Eth3d", 3), ("Middlebury", 4), ("Kitti", 5), ("FSD", 2)])
def test_raft_has_a_limit_for_each_data_set(dataset: str, counted: int) -> None:
    """512, 1000, none and 192 px; a disparity of 0 is one."""
    truth = row(0, 191, 511, 999, 3000)
    assert raft(answer(truth + 2 * truth / 191, truth, dataset=dataset))["epe"].value == pytest.approx(
        float(np.mean(2 * truth[0, :counted] / 191)), rel=1e-5
    )


def test_kitti_by_hand() -> None:
    """Shares over all images' pixels for 2015, means of images for 2012; filled, and of the answered pixels."""
    holed = DISPARITY.copy()
    holed[0, 4] = NAN  # takes the smaller neighbour, 43: off by 7
    found = kitti(answer(holed, TRUTH, SEEN))
    assert found["d1_all"] == Figure(1 / 6, 6)
    assert found["d1_est_all"] == Figure(0.0, 5)
    assert found["d1_noc"] == Figure(0.0, 4)
    assert found["out3_all"] == Figure(2 / 6, 1.0)
    assert found["out2_noc"] == Figure(1 / 4, 1.0)
    assert found["avg_all"] == Figure((0 + 1 + 2 + 3 + 7 + 4) / 6, 1.0)
    assert found["density_all"] == Figure(5 / 6, 1.0)
    assert not any(name.endswith("noc") for name in kitti(answer(holed, TRUTH)))


def test_middlebury_by_hand() -> None:
    """A hole is invalid, neither bad nor part of the mean error; a disparity of 0 has truth."""
    holed = row(10, NAN, 28, 43, 46, 104, 0.75)
    truth = row(10, 20, 30, 40, 50, 100, 0)
    seen = np.append(SEEN, [[True]], axis=1)
    found = values(middlebury(answer(holed, truth, seen)))
    assert found["invalid_all"] == pytest.approx(1 / 7)
    assert found["bad2.0_all"] == pytest.approx(3 / 7)
    assert found["totbad2.0_all"] == pytest.approx(4 / 7)
    assert found["bad0.5_all"] == pytest.approx(5 / 7)
    assert found["avgerr_all"] == pytest.approx((0 + 2 + 3 + 4 + 4 + 0.75) / 6)
    assert found["totbad4.0_nonocc"] == pytest.approx(1 / 5)
    assert found["avgerr_nonocc"] == pytest.approx((0 + 2 + 3 + 0.75) / 4)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_pixel_that_counts_is_no_figure(name: str) -> None:
    """And no warning, which pytest would show."""
    assert PROTOCOLS[name].measure(answer(DISPARITY, TRUTH * NAN, dataset="Kitti")) == {}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_map_without_any_answer_is_the_worst_there_is(name: str) -> None:
    """Every share of bad pixels is 1, and no mean is finite."""
    found = PROTOCOLS[name].measure(answer(TRUTH * NAN, TRUTH, dataset="Kitti"))
    assert not math.isfinite(found[PROTOCOLS[name].main].value) or found[PROTOCOLS[name].main].value == 1.0


# A second implementation: Python's numbers, one pixel after the other, written from the definitions.


def pixels_of(case: Answer, counts: Callable[[float], bool], masked: bool = False) -> list[tuple[float, float, float]]:
    """(raw, filled, truth) of the pixels that count."""
    return [
        (float(case.disparity_HW[place]), float(case.filled_HW[place]), float(true))
        for place, true in np.ndenumerate(case.truth_HW)
        if counts(float(true)) and not (masked and case.seen_HW is not None and not case.seen_HW[place])
    ]


def mean(numbers: list[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def second_tao(case: Answer) -> dict[str, float]:
    some = pixels_of(case, lambda true: 0 < true < case.max_disparity_px, masked=True)
    if not some:
        return {}
    errors = [abs(found - true) for _, found, true in some]
    truths = [true for *_, true in some]
    middle = mean(truths)
    deviation = math.fsum(abs(true - middle) for true in truths)
    logs = [(math.log(max(found, 1e-8)) - math.log(true)) ** 2 for _, found, true in some]
    return {
        "epe": mean(errors),
        **{f"bp{px}": mean([float(error > px) for error in errors]) for px in (1, 2, 3)},
        "d1": mean([float(e > 3 and e / t > 0.05) for e, t in zip(errors, truths, strict=True)]),
        "rmse": math.sqrt(mean([error**2 for error in errors])),
        "abs_rel": math.fsum(e / t for e, t in zip(errors, truths, strict=True)),
        "sq_rel": math.fsum(e**2 for e in errors) / deviation if deviation > 1e-3 else NAN,
        "rmse_log": math.sqrt(mean(logs)),
    }


def second_raft(case: Answer) -> dict[str, float]:
    limit, threshold = {"Eth3d": (512, 1), "Middlebury": (1000, 2), "Kitti": (INF, 3)}.get(case.dataset_name, (192, 1))
    errors = [abs(found - true) for _, found, true in pixels_of(case, lambda t: math.isfinite(t) and t < limit)]
    return {"epe": mean(errors), "d1": mean([float(e > threshold) for e in errors])} if errors else {}


def second_kitti(case: Answer) -> dict[str, float]:
    figures = {}
    for region in ("all", "noc"):
        some = pixels_of(case, lambda true: 0 < true < INF, masked=region == "noc")
        if not some or (region == "noc" and case.seen_HW is None):
            continue
        bad = [float(abs(found - t) > 3 and abs(found - t) / t > 0.05) for _, found, t in some]
        figures[f"d1_{region}"] = mean(bad)
        estimated = [one for one, (raw, *_) in zip(bad, some, strict=True) if math.isfinite(raw)]
        if estimated:
            figures[f"d1_est_{region}"] = mean(estimated)
        for px in (2, 3, 4, 5):
            figures[f"out{px}_{region}"] = mean([float(abs(found - t) > px) for _, found, t in some])
        figures[f"avg_{region}"] = mean([abs(found - t) for _, found, t in some])
        figures[f"density_{region}"] = len(estimated) / len(some)
    return figures


def second_middlebury(case: Answer) -> dict[str, float]:
    figures = {}
    for region in ("all", "nonocc"):
        some = pixels_of(case, math.isfinite, masked=region == "nonocc")
        if not some or (region == "nonocc" and case.seen_HW is None):
            continue
        errors = [abs(raw - true) for raw, _, true in some if math.isfinite(raw)]
        figures[f"invalid_{region}"] = 1 - len(errors) / len(some)
        for px in (0.5, 1.0, 2.0, 4.0):
            figures[f"bad{px}_{region}"] = sum(error > px for error in errors) / len(some)
            figures[f"totbad{px}_{region}"] = figures[f"bad{px}_{region}"] + figures[f"invalid_{region}"]
        if errors:
            figures[f"avgerr_{region}"] = mean(errors)
    return figures


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Maps of a few hundred pixels with holes, unknown truth, 0 and beyond the range; at least one answer."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 12)), draw(st.integers(2, 30))
    truth = rng.uniform(0.0, draw(st.sampled_from([8.0, 60.0, 1200.0])), shape).astype(np.float32)
    truth[rng.random(shape) < 0.1] = 0.0
    disparity = np.abs(truth + rng.normal(0.0, draw(st.sampled_from([0.3, 3.0])), shape)).astype(np.float32)
    truth[rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = np.nan
    disparity[rng.random(shape) < draw(st.sampled_from([0.0, 0.3]))] = np.nan
    disparity[0, 0] = 1.0
    seen = rng.random(shape) < 0.7 if draw(st.booleans()) else None
    dataset = draw(st.sampled_from(["Eth3d", "Middlebury", "Kitti", "FSD"]))
    return answer(disparity, truth, seen, dataset, draw(st.sampled_from([INF, 192.0, 5.0])))


@pytest.mark.parametrize(
    ("first", "second"),
    [(tao, second_tao), (raft, second_raft), (kitti, second_kitti), (middlebury, second_middlebury)],
)
@settings(max_examples=60, deadline=None)
@given(case=answers())
def test_a_second_implementation_says_the_same(
    first: Callable[[Answer], dict[str, Figure]], second: Callable[[Answer], dict[str, float]], case: Answer
) -> None:
    """On random maps, to 1e-9."""
    found, expected = values(first(case)), second(case)
    plain = {name: value for name, value in found.items() if not name.startswith("val/")}
    assert set(plain) == set(expected)
    for name, value in expected.items():
        if not math.isnan(value):
            assert plain[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
    for name in ("epe", "bp1", "bp2", "bp3", "d1", "rmse", "abs_rel"):  # alike in both containers
        if f"val/{name}" in found:
            assert found[f"val/{name}"] == found[name]
