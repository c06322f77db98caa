from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch

from dolly.train.batches import IGNORED, BatchOrder, accumulation_steps, collate, micro_batches
from dolly.training_set import Example


def example(name: str, ids: list[int], mask: list[bool] | None = None) -> Example:
    learnt = [True] * len(ids) if mask is None else mask
    return Example(name, "facts", np.asarray(ids, dtype=np.int64), np.asarray(learnt, dtype=np.bool_))


def examples(count: int) -> list[Example]:
    lengths = np.random.default_rng(5).integers(1, 40, size=count)
    return [example(f"e{number:03}", list(range(1, length + 1))) for number, length in enumerate(lengths)]


def shares(rows: list[Example], *, micro_batch_size: int, processes: int) -> list[list[list[Example]]]:
    return [
        micro_batches(rows, micro_batch_size=micro_batch_size, processes=processes, rank=rank)
        for rank in range(processes)
    ]


@pytest.mark.parametrize(
    ("rows", "batch_size", "epochs"),
    [(10, 5, 1), (10, 4, 1), (10, 4, 3), (7, 7, 2), (3, 8, 1), (1, 4, 2), (100, 16, 2.5), (10, 4, 0.5)],
)
def test_every_row_is_shown_as_often_as_asked(rows: int, batch_size: int, epochs: float) -> None:
    order = BatchOrder(rows=rows, batch_size=batch_size, seed=17)
    steps = order.steps(epochs=epochs, max_steps=None)
    shown = Counter(row for step in range(steps) for row in order.batch(step))
    times = [shown[row] for row in range(rows)]
    assert sum(shown.values()) == steps * batch_size
    assert set(shown) <= set(range(rows))
    assert min(times) >= math.floor(epochs)
    assert max(times) - min(times) <= 1
    assert rows * epochs <= steps * batch_size < rows * epochs + batch_size


@pytest.mark.parametrize(("max_steps", "steps"), [(None, 10), (3, 3), (1, 1), (10, 10), (99, 10)])
def test_steps_end_at_max_steps(max_steps: int | None, steps: int) -> None:
    assert BatchOrder(rows=40, batch_size=8, seed=0).steps(epochs=2, max_steps=max_steps) == steps


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    straight = BatchOrder(rows=23, batch_size=4, seed=17)
    resumed = BatchOrder(rows=23, batch_size=4, seed=17)
    batches = [straight.batch(step) for step in range(20)]
    assert [resumed.batch(step) for step in (19, 3, 11, 0)] == [batches[step] for step in (19, 3, 11, 0)]


def test_another_seed_or_epoch_has_another_order() -> None:
    first, second = BatchOrder(rows=50, batch_size=50, seed=1), BatchOrder(rows=50, batch_size=50, seed=2)
    orders = [first.batch(0), first.batch(1), second.batch(0), list(range(50))]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)


@pytest.mark.parametrize("micro_batch_size", [1, 3, 4, 64])
@pytest.mark.parametrize(("batch_size", "processes"), [(12, 1), (12, 2), (12, 3), (12, 12), (16, 4), (7, 7)])
def test_the_processes_share_a_step_without_loss_or_repeat(
    batch_size: int, processes: int, micro_batch_size: int
) -> None:
    rows = examples(batch_size)
    ranks = shares(rows, micro_batch_size=micro_batch_size, processes=processes)
    given = [row.example_id for rank in ranks for part in rank for row in part]
    assert sorted(given) == [row.example_id for row in rows]
    passes = accumulation_steps(batch_size=batch_size, micro_batch_size=micro_batch_size, processes=processes)
    assert [len(rank) for rank in ranks] == [passes] * processes
    assert all(1 <= len(part) <= micro_batch_size for rank in ranks for part in rank)


def test_a_step_shared_out_does_not_depend_on_the_order_it_came_in() -> None:
    rows = examples(12)
    ids = [
        [[[row.example_id for row in part] for part in rank] for rank in shares(given, micro_batch_size=2, processes=2)]
        for given in (rows, rows[::-1])
    ]
    assert ids[0] == ids[1]


def test_rows_of_like_length_go_together() -> None:
    rows = [example(name, [1] * length) for name, length in (("a", 3), ("b", 30), ("c", 2), ("d", 31))]
    (parts,) = shares(rows, micro_batch_size=2, processes=1)
    assert sorted(sorted(row.example_id for row in part) for part in parts) == [["a", "c"], ["b", "d"]]


def test_collated_rows_keep_their_tokens_and_tell_their_padding() -> None:
    batch = collate([example("a", [5, 6, 7, 8]), example("b", [9, 10])])
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "input_ids": (2, 4),
        "attention_mask": (2, 4),
        "targets": (2, 4),
    }
    assert all(tensor.dtype == torch.long for tensor in batch.values())
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch["input_ids"][0].tolist() == [5, 6, 7, 8]
    assert batch["input_ids"][1, :2].tolist() == [9, 10]


@pytest.mark.parametrize(
    ("mask", "targets"),
    [
        ([False, False, True, True], [IGNORED, 7, 8, IGNORED]),
        ([True, True, True, True], [6, 7, 8, IGNORED]),
        ([True, False, False, False], [IGNORED] * 4),
        ([False, True, False, True], [6, IGNORED, 8, IGNORED]),
    ],
)
def test_a_target_is_the_next_token_where_that_one_is_learnt(mask: list[bool], targets: list[int]) -> None:
    row = example("a", [5, 6, 7, 8], mask)
    batch = collate([row])
    assert batch["targets"][0].tolist() == targets
    assert int((batch["targets"] != IGNORED).sum()) == row.trained_tokens


def test_padding_and_the_last_token_have_no_target() -> None:
    batch = collate([example("a", [5, 6]), example("b", [7]), example("c", list(range(1, 9)))])
    assert batch["targets"][0].tolist() == [6] + [IGNORED] * 7
    assert batch["targets"][1].tolist() == [IGNORED] * 8
    assert batch["targets"][:, -1].tolist() == [IGNORED] * 3
