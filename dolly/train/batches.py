"""The rows of each step, and their tensors.

The order is a function of the seed and the step alone: it needs no state to resume and is the same
for any number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from dolly.train.packing import balanced
from dolly.train.spec import TrainSpec
from dolly.training_set import Example


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
        indices = range(step * self._batch_size, (step + 1) * self._batch_size)
        return [int(self._permutation(index // self._rows)[index % self._rows]) for index in indices]

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, epoch]).permutation(self._rows)


def packed(examples: Sequence[Example], *, capacity: int, processes: int) -> list[list[Example]]:
    """Packs a step's rows into blocks of at most `capacity` tokens, the same number for each process.

    A longer row gets its own block. Rows are first sorted by length and id, so that the blocks do not depend on the
    order of `examples`.
    """
    ordered = sorted(examples, key=lambda example: (-len(example.input_ids), example.example_id))
    lengths = [len(example.input_ids) for example in ordered]
    return [[ordered[row] for row in block] for block in balanced(lengths, capacity=capacity, processes=processes)]


def blocks_of(examples: Sequence[Example], *, capacity: int, processes: int, rank: int) -> list[list[Example]]:
    """One process's share of a step."""
    return packed(examples, capacity=capacity, processes=processes)[rank::processes]


def blocks_by_step(rows: Sequence[Example], spec: TrainSpec, *, steps: int) -> Iterator[list[list[Example]]]:
    """Yields the blocks of all processes for each step of a training."""
    order = BatchOrder(rows=len(rows), batch_size=spec.batch_size, seed=spec.seed)
    for step in range(steps):
        batch = [rows[index] for index in order.batch(step)]
        yield packed(batch, capacity=spec.block_tokens, processes=spec.processes)


def tensors_of(block: Sequence[Example]) -> dict[str, Any]:
    """The arguments of the model for one block.

    Returns:
        `input_ids` and `position_ids`, each `(1, tokens)`; positions start at 0 in each example.
        `loss_positions` and `targets`, each `(tokens with loss,)`: the positions that predict a token with loss, and
        that token; never across examples. `lengths`: tokens of each example.
    """
    ids = torch.from_numpy(np.concatenate([example.input_ids for example in block]))
    with_loss = torch.from_numpy(np.concatenate([np.append(example.loss_mask[1:], False) for example in block]))
    loss_positions = with_loss.nonzero()[:, 0]
    lengths = [len(example.input_ids) for example in block]
    positions = torch.cat([torch.arange(length) for length in lengths])
    return {
        "input_ids": ids[None],
        "position_ids": positions[None],
        "loss_positions": loss_positions,
        "targets": ids[loss_positions + 1],
        "lengths": lengths,
    }
