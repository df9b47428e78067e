"""Which samples make up a batch: nothing is seen twice in an epoch, by two processes, or after a resume."""

from __future__ import annotations

import pytest

pytest.importorskip("lightning")
pytest.importorskip("array_api_compat")

from ffs_ros.training.batches import Batches, Place, drawn_batch, mixed
from ffs_ros.training.scenes import training_seed, validation_seeds

ALONE = Place()


def indices(step: int, place: Place = ALONE, batch_size: int = 2) -> list[int]:
    """Of the samples in one batch of 9."""
    return [draw.index for draw in drawn_batch(step, 9, batch_size, 5, place)]


def test_an_epoch_draws_each_sample_once_and_the_next_in_another_order():
    """9 samples in twos: 4 steps, one sample left out."""
    first, second = ([index for step in steps for index in indices(step)] for steps in (range(4), range(4, 8)))
    assert len(set(first)) == len(first) == 8
    assert set(second) <= set(range(9))
    assert first != second


def test_two_processes_share_the_batch_of_one():
    """Two with batches of 2 see, together and at each step, what one with batches of 4 sees."""
    for step in range(4):
        both = indices(step, Place(0, 2)) + indices(step, Place(1, 2))
        assert both == indices(step, batch_size=4)


def test_the_same_sample_is_varied_anew_in_each_epoch():
    """Its seed depends on the epoch, and on nothing but seed, epoch and sample."""
    seeds = {draw.seed for step in range(8) for draw in drawn_batch(step, 9, 2, 5, Place())}
    assert len(seeds) == 16
    assert drawn_batch(3, 9, 2, 5, Place()) == drawn_batch(3, 9, 2, 5, Place())


def test_scenes_never_repeat():
    """Seeds of steps, processes, data seeds and the validation are all different."""
    training = [
        training_seed(data_seed, step, Place(rank, 2)) for data_seed in (0, 1) for step in range(50) for rank in (0, 1)
    ]
    shares = [validation_seeds(0, 7, Place(rank, 2)) for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == sorted(validation_seeds(0, 7, Place()))
    assert validation_seeds(0, 1, Place(1, 2)) == validation_seeds(0, 1, Place()), "none is left for the second process"
    assert len({*training, *shares[0], *shares[1]}) == 200 + 7
    assert all(0 <= seed < 2**63 for seed in training)
    assert mixed(1, 2) != mixed(2, 1)


def test_a_row_of_batches_begins_where_the_run_stands():
    """Its length is the whole run's, as Lightning's progress wants it."""
    batches = Batches(range(10, 20), lambda: 17, list)
    assert len(batches) == 10
    assert list(batches) == [17, 18, 19]
