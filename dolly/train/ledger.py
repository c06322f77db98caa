"""What a training saw of each row: how often, in which step and block first, and how many of its tokens were learnt."""

from __future__ import annotations

from typing import Any

from dolly.train.batches import blocks_by_step
from dolly.train.spec import TrainSpec
from dolly.training_set import Example


def ledger_rows(rows: list[Example], spec: TrainSpec, *, steps: int) -> list[dict[str, Any]]:
    """Rows of `trained_rows`: one for each row of the training set, also for those that `max_steps` left out.

    The order and the packing are functions of the spec, so that this needs nothing of the training but its length.

    Args:
        rows: the training rows, in the order of the training set; a row of several copies is there as often.
        spec: the training.
        steps: how many it has made.
    """
    seen: dict[str, dict[str, Any]] = {}
    for row in rows:
        example_id, _, part = row.example_id.partition("#")
        seen[row.example_id] = {
            "dataset": spec.dataset,
            "training": spec.sha256,
            "example_id": example_id,
            "part": int(part or 0),
            "source": row.source,
            "times": 0,
            "step": None,
            "block": None,
            "trained_tokens": row.trained_tokens,
            "masked_tokens": len(row.input_ids) - row.trained_tokens,
        }
    for step, blocks in enumerate(blocks_by_step(rows, spec, steps=steps)):
        for block, members in enumerate(blocks):
            for row in members:
                found = seen[row.example_id]
                if found["times"] == 0:
                    found |= {"step": step, "block": block}
                found["times"] += 1
    return list(seen.values())
