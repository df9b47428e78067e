"""Which samples make up the batch of each step: a pure function of the seed, the step and the process.

A run is one row of batches, with nothing to remember but the step: a resumed run goes on with the very next batch, and
processes of one step never share a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Place:
    """One of the processes that train together."""

    rank: int = 0
    count: int = 1


@dataclass(frozen=True)
class Draw:
    """One sample of a batch."""

    index: int
    """Of the sample."""
    seed: int
    """Of its augmentation: another one each time the sample is drawn."""


class Batches:
    """The batches of a run from the step that it has reached, for Lightning, which sees one long epoch."""

    def __init__(self, steps: range, next_step: Callable[[], int], batches: Callable[[range], Iterable[Any]]) -> None:
        self.steps, self.next_step, self.batches = steps, next_step, batches

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches(range(self.next_step(), self.steps.stop)))

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the step is the state. That there is a method tells Lightning that the row can be resumed."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load."""


def drawn_batch(step: int, samples: int, batch_size: int, seed: int, place: Place) -> list[Draw]:
    """The samples of ``step`` for one process: shuffled anew each epoch; what does not fill a step is left out."""
    steps_per_epoch = samples // (batch_size * place.count)
    epoch, step_of_epoch = divmod(step, steps_per_epoch)
    order = _order(samples, seed, epoch)
    first = (step_of_epoch * place.count + place.rank) * batch_size
    return [Draw(int(index), mixed(seed, epoch, int(index))) for index in order[first : first + batch_size]]


def share(count: int, place: Place) -> range:
    """The numbers below ``count`` that one of the processes validates with.

    Lightning wants one for each, so that a process beyond ``count`` gets 0 again; it is not to be counted.
    """
    return range(place.rank, count, place.count) or range(1)


@lru_cache(maxsize=1)
def _order(samples: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(samples)


def mixed(*numbers: int) -> int:
    """A seed, 0 to 2^63 - 1, that differs as soon as one of the numbers does."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
