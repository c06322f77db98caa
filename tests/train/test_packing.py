"""Best fit: nothing lost, nothing over, few blocks, equal input gives equal blocks."""

from __future__ import annotations

import numpy as np
import pytest

from dolly.train.packing import balanced, best_fit


def test_each_row_goes_into_the_fullest_block_that_has_room() -> None:
    assert best_fit([6, 5, 4, 4, 1], capacity=10) == [[0, 2], [1, 3, 4]]


def test_a_row_longer_than_a_block_is_alone_in_one_of_its_own() -> None:
    assert best_fit([3, 25, 4], capacity=10) == [[1], [2, 0]]


@pytest.mark.parametrize("capacity", [50, 64, 500])
@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_all_rows_are_there_once_and_no_block_is_over(capacity: int, processes: int) -> None:
    lengths = np.random.default_rng(3).integers(1, 50, 200).tolist()
    blocks = balanced(lengths, capacity=capacity, processes=processes)
    assert sorted(row for block in blocks for row in block) == list(range(200))
    assert all(sum(lengths[row] for row in block) <= capacity for block in blocks)
    assert len(blocks) % processes == 0
    assert balanced(lengths, capacity=capacity, processes=processes) == blocks


def test_hardly_any_room_is_left() -> None:
    lengths = np.random.default_rng(4).integers(10, 400, 1_000).tolist()
    blocks = best_fit(lengths, capacity=1_024)
    assert sum(lengths) / (len(blocks) * 1_024) > 0.98


def test_as_many_rows_as_processes_give_each_one() -> None:
    assert sorted(balanced([5, 5, 5, 5], capacity=100, processes=4)) == [[0], [1], [2], [3]]
