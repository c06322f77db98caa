"""Every training row has a line that says what the training saw of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.specs import plain_spec
from dolly.schema import TRAINED_ROWS
from dolly.tables import Tables
from dolly.train.batches import BatchOrder, packed
from dolly.train.ledger import ledger_rows
from dolly.training_set import Example


def rows(count: int) -> list[Example]:
    draw = np.random.default_rng(3)
    sizes = draw.integers(4, 30, count)
    return [Example(f"row{n}", "s", np.zeros(size, np.int64), np.arange(size) >= 2) for n, size in enumerate(sizes)]


def test_steps_and_blocks_are_those_of_the_training() -> None:
    given, spec = rows(10), plain_spec(batch_size=4, block_tokens=40, processes=2)
    found = {row["example_id"]: row for row in ledger_rows(given, spec, steps=5)}
    assert len(found) == 10
    assert sum(row["times"] for row in found.values()) == 20
    order = BatchOrder(rows=10, batch_size=4, seed=spec.seed)
    batch = [given[place] for place in order.batch(0)]
    for place, block in enumerate(packed(batch, capacity=40, processes=2)):
        for row in block:
            assert (found[row.example_id]["step"], found[row.example_id]["block"]) == (0, place)


def test_tokens_with_and_without_loss_add_up() -> None:
    for row, line in zip(rows(6), ledger_rows(rows(6), plain_spec(batch_size=2), steps=3), strict=True):
        assert line["trained_tokens"] == row.trained_tokens
        assert line["trained_tokens"] + line["masked_tokens"] == len(row.input_ids)


def test_rows_that_max_steps_left_out_are_told() -> None:
    found = ledger_rows(rows(10), plain_spec(batch_size=4), steps=1)
    unseen = [row for row in found if row["times"] == 0]
    assert len(unseen) == 6
    assert all(row["step"] is None and row["block"] is None for row in unseen)


def test_copies_are_one_line_and_parts_are_several(tmp_path: Path) -> None:
    one = rows(1)[0]
    part = Example("row0#1", "s", one.input_ids, one.loss_mask)
    found = ledger_rows([one, one, part], plain_spec(batch_size=3, dataset="d"), steps=1)
    assert [(row["example_id"], row["part"], row["times"]) for row in found] == [("row0", 0, 2), ("row0", 1, 1)]
    tables = Tables(tmp_path)
    assert tables.insert_new(TRAINED_ROWS, found, scope="d", writer="test").inserted == 2
    assert tables.insert_new(TRAINED_ROWS, found, scope="d", writer="test").inserted == 0
