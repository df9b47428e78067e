"""The learning rate of each step."""

from __future__ import annotations

import pytest

pytest.importorskip("lightning")

from ffs_ros.spec.train import Optim
from ffs_ros.training.schedule import learning_rate


def rates(steps: list[int], start_step: int = 0, **optim: object) -> list[float]:
    """With peak 1 and, unless given, no warm-up; 100 steps in all."""
    settings = Optim(**{"lr": 1.0, "warmup_steps": 0, "min_lr": 0.0, **optim})  # type: ignore[arg-type]
    return [learning_rate(step, settings, 100, start_step) for step in steps]


@pytest.mark.parametrize(
    ("optim", "steps", "expected"),
    [
        ({"lr_scheduler": "Constant"}, [0, 99], [1.0, 1.0]),
        ({"lr_scheduler": "MultiStepLR", "lr_steps": (10, 20)}, [9, 10, 19, 20], [1.0, 0.1, 0.1, 0.01]),
        ({"lr_scheduler": "StepLR", "lr_step_size": 30, "lr_decay": 0.5}, [29, 30, 90], [1.0, 0.5, 0.125]),
        ({"lr_scheduler": "LambdaLR"}, [0, 50, 99], [1.0, 0.5, 0.01]),
        ({"lr_scheduler": "PolynomialLR"}, [25], [0.75]),
        ({"lr_scheduler": "CosineAnnealingLR", "min_lr": 0.2}, [0, 50, 100], [1.0, 0.6, 0.2]),
        ({"lr_scheduler": "OneCycleLR", "warmup_steps": 20}, [0, 10, 20, 60], [0.04, 0.52, 1.0, 0.500002]),
    ],
)
def test_schedules(optim, steps, expected):
    """Known values of each."""
    assert rates(steps, **optim) == pytest.approx(expected)


def test_warm_up_rises_in_a_line_and_then_leaves_the_schedule_alone():
    """TAO reads warmup_steps and never uses it; here the first of four steps has a quarter."""
    assert rates([0, 1, 2, 3, 4], lr_scheduler="Constant", warmup_steps=4) == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates([0, 1], lr_scheduler="LambdaLR", warmup_steps=2) == pytest.approx([0.5, 0.99])


def test_a_later_part_goes_on_in_the_schedule_after_a_warm_up_of_its_own():
    """A part that begins at step 50 has half the rate left, and rises to it."""
    assert rates([0, 1, 2], 50, lr_scheduler="LambdaLR", warmup_steps=2) == pytest.approx([0.25, 0.49, 0.48])
    assert rates([0], 60, lr_scheduler="OneCycleLR", warmup_steps=20) == pytest.approx([0.500002 / 20], rel=1e-4)
