"""How often a training used each row, in which step and block first, and how many of its tokens had loss."""

from __future__ import annotations

from typing import Any

from dolly.train.batches import blocks_by_step
from dolly.train.spec import TrainSpec
from dolly.training_set import Example


def ledger_rows(rows: list[Example], spec: TrainSpec, *, steps: int) -> list[dict[str, Any]]:
    """Rows of `trained_rows`: one for each row of the training set, also for those that `max_steps` left out.

    Order and packing follow from the spec, so that only the number of steps is needed from the training.

    Args:
        rows: the training rows, in the order of the training set; a row with several copies occurs as often.
        spec: the training.
        steps: the number of steps that were trained.
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
                entry = seen[row.example_id]
                if entry["times"] == 0:
                    entry |= {"step": step, "block": block}
                entry["times"] += 1
    return list(seen.values())
