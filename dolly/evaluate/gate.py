"""The gate: the metrics that a model must reach to become the champion."""

from __future__ import annotations

from collections.abc import Mapping


def gate(
    *,
    fact_accuracy: float | None,
    min_fact_accuracy: float | None,
    losses_before: Mapping[str, float],
    losses_after: Mapping[str, float],
    max_loss_ratio: float | Mapping[str, float],
) -> list[str]:
    """The reasons why a model fails the gate; empty if it passes.

    Args:
        fact_accuracy: share of held-out questions answered right; None if none could be checked.
        min_fact_accuracy: lowest share that passes; None for no limit.
        losses_before: source → held-out loss of the base model.
        losses_after: source → held-out loss of the trained model.
        max_loss_ratio: after / before must be below this: one figure, or one per source (1 for the others).
    """
    reasons = []
    if min_fact_accuracy is not None:
        if fact_accuracy is None:
            reasons.append("min_fact_accuracy is set but no held-out question has an expected text")
        elif fact_accuracy < min_fact_accuracy:
            reasons.append(f"fact accuracy {fact_accuracy:.1%} is below {min_fact_accuracy:.1%}")
    if not losses_after and min_fact_accuracy is None:
        reasons.append("nothing was measured: there are no held-out rows")
    for source, before in losses_before.items():
        after = losses_after[source]
        ratio = max_loss_ratio.get(source, 1.0) if isinstance(max_loss_ratio, Mapping) else max_loss_ratio
        if not after < before * ratio:
            reasons.append(f"held-out loss of {source} is {after:.3f}, not below {ratio:g} × {before:.3f}")
    return reasons
