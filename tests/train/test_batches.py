from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from dolly.train.batches import BatchOrder, blocks_of, tensors_of
from dolly.training_set import Example


def example(name: str, ids: list[int], mask: list[bool] | None = None) -> Example:
    learnt = [True] * len(ids) if mask is None else mask
    return Example(name, "facts", np.asarray(ids, dtype=np.int64), np.asarray(learnt, dtype=np.bool_))


def examples(count: int) -> list[Example]:
    lengths = np.random.default_rng(5).integers(1, 40, size=count)
    return [example(f"e{number:03}", list(range(1, length + 1))) for number, length in enumerate(lengths)]


def shares(rows: list[Example], *, capacity: int, processes: int) -> list[list[list[Example]]]:
    return [blocks_of(rows, capacity=capacity, processes=processes, rank=rank) for rank in range(processes)]


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


@pytest.mark.parametrize("capacity", [1, 40, 64, 1000])
@pytest.mark.parametrize(("batch_size", "processes"), [(12, 1), (12, 2), (12, 3), (12, 12), (16, 4), (7, 7)])
def test_the_processes_share_a_step_without_loss_or_repeat(batch_size: int, processes: int, capacity: int) -> None:
    rows = examples(batch_size)
    ranks = shares(rows, capacity=capacity, processes=processes)
    given = [row.example_id for rank in ranks for block in rank for row in block]
    assert sorted(given) == [row.example_id for row in rows]
    assert len({len(rank) for rank in ranks}) == 1
    for block in (block for rank in ranks for block in rank):
        assert len(block) == 1 or sum(len(row.input_ids) for row in block) <= capacity


def test_a_step_shared_out_does_not_depend_on_the_order_it_came_in() -> None:
    rows = examples(12)
    ids = [
        [[[row.example_id for row in block] for block in rank] for rank in shares(given, capacity=64, processes=2)]
        for given in (rows, rows[::-1])
    ]
    assert ids[0] == ids[1]


def test_a_block_holds_its_rows_one_after_another() -> None:
    block = tensors_of([example("a", [5, 6, 7, 8]), example("b", [9, 10])])
    assert block["lengths"] == [4, 2]
    assert block["input_ids"].tolist() == [[5, 6, 7, 8, 9, 10]]
    assert block["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1]]


@pytest.mark.parametrize(
    ("mask", "targets"),
    [
        ([False, False, True, True], {3: 7, 4: 8}),
        ([True, True, True, True], {2: 6, 3: 7, 4: 8}),
        ([True, False, False, False], {}),
        ([False, True, False, True], {2: 6, 4: 8}),
    ],
)
def test_a_target_is_the_next_token_where_that_one_is_learnt(mask: list[bool], targets: dict[int, int]) -> None:
    row = example("a", [5, 6, 7, 8], mask)
    block = tensors_of([example("before", [1, 2]), row, example("after", [3, 4])])
    found = dict(zip(block["loss_positions"].tolist(), block["targets"].tolist(), strict=True))
    assert found == {0: 2, 6: 4} | targets
    assert len(targets) == row.trained_tokens


def test_no_example_is_to_predict_the_next_one() -> None:
    block = tensors_of([example("a", [5, 6]), example("b", [7]), example("c", [8, 9])])
    assert (block["loss_positions"].tolist(), block["targets"].tolist()) == ([0, 3], [6, 9])
