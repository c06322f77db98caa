"""The learning rate as a function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math


def learning_rate(step: int, *, peak: float, steps: int, warmup_share: float, schedule: str) -> float:
    """The rate of one step: linear warm-up to `peak`, then down to zero or constant.

    Args:
        step: from 0.
        peak: highest rate.
        steps: of the whole training.
        warmup_share: share of the steps spent rising.
        schedule: `cosine`, `linear` or `constant` after the warm-up.
    """
    warmup = math.ceil(steps * warmup_share)
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "constant":
        return peak
    done = (step - warmup) / max(1, steps - warmup)
    return peak * ((1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else 1 - done)
