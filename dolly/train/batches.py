"""Which rows each step sees, and how they become tensors.

The order is a function of the seed and the step alone: it needs no state to resume and is the same
for any number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from dolly.training_set import Example

IGNORED = -100


class BatchOrder:
    """The rows of each step.

    Rows come in a fresh permutation each epoch. The last step is filled from the following epoch,
    so that no row is left out and every step has the same size.

    Args:
        rows: number of training rows.
        batch_size: rows of a step, over all processes.
        seed: of the permutations.
    """

    def __init__(self, *, rows: int, batch_size: int, seed: int) -> None:
        self._rows, self._batch_size, self._seed = rows, batch_size, seed
        self._permutation = lru_cache(maxsize=2)(self._shuffled)

    def steps(self, *, epochs: float, max_steps: int | None) -> int:
        """Steps that show each row at least `epochs` times, at most `max_steps`."""
        steps = math.ceil(self._rows * epochs / self._batch_size)
        return min(steps, max_steps) if max_steps else steps

    def batch(self, step: int) -> list[int]:
        """Row numbers of one step."""
        places = range(step * self._batch_size, (step + 1) * self._batch_size)
        return [int(self._permutation(place // self._rows)[place % self._rows]) for place in places]

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, epoch]).permutation(self._rows)


def accumulation_steps(*, batch_size: int, micro_batch_size: int, processes: int) -> int:
    """Forward passes that each process makes in one step."""
    return math.ceil(batch_size / processes / micro_batch_size)


def micro_batches(
    examples: Sequence[Example], *, micro_batch_size: int, processes: int, rank: int
) -> list[list[Example]]:
    """One process's share of a step: rows of like length together, so that little is padding."""
    count = processes * accumulation_steps(
        batch_size=len(examples), micro_batch_size=micro_batch_size, processes=processes
    )
    by_length = sorted(examples, key=lambda example: (len(example.input_ids), example.example_id))
    parts = np.array_split(np.arange(len(by_length)), count)
    return [[by_length[i] for i in part] for part in parts[rank::processes]]


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Pads rows to the longest of them.

    Returns:
        `input_ids`, `attention_mask` and `targets`, each `(batch, sequence)`. A target is the next
        token where that one is to be learnt, else `IGNORED`. Padding is told by the mask, so its id
        does not matter and can't be confused with the end of a sequence.
    """
    shape = len(examples), max(len(example.input_ids) for example in examples)
    ids = torch.zeros(shape, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    targets = torch.full(shape, IGNORED, dtype=torch.long)
    for row, example in enumerate(examples):
        length = len(example.input_ids)
        tokens = torch.from_numpy(example.input_ids)
        ids[row, :length] = tokens
        mask[row, :length] = 1
        learnt = torch.from_numpy(example.loss_mask[1:])
        targets[row, : length - 1] = torch.where(learnt, tokens[1:], IGNORED)
    return {"input_ids": ids, "attention_mask": mask, "targets": targets}
