"""Checks that the rows of a stage add up: rows in = rows out, for each source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any


def step(stage: str, into: Mapping[str, Counter[str]], out: Mapping[str, Counter[str]]) -> dict[str, Any]:
    """The balance of one stage.

    Args:
        stage: the stage's name.
        into: kind of input rows → number for each source.
        out: kind of output rows → number for each source.

    Returns:
        The totals, and the sources that do not add up.
    """
    sources = {source for counts in (*into.values(), *out.values()) for source in counts}
    unequal = [
        source
        for source in sorted(sources)
        if sum(counts[source] for counts in into.values()) != sum(counts[source] for counts in out.values())
    ]
    return {
        "stage": stage,
        "into": {name: counts.total() for name, counts in into.items()},
        "out": {name: counts.total() for name, counts in out.items()},
        "unequal": unequal,
    }


def has_run(balance: Mapping[str, Any]) -> bool:
    """Has the stage written anything for this data set?"""
    return any(balance["out"].values())
