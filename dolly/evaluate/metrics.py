"""Figures of an evaluation, with their uncertainty."""

from __future__ import annotations

import math
import re
import unicodedata

_Z_95 = 1.959964  # two-sided 95 % quantile of the normal distribution


def contains_fact(answer: str, fact: str) -> bool:
    """Does the answer contain the fact as whole words? Case and spacing are ignored."""
    pattern = re.escape(_plain(fact))
    return bool(fact.strip()) and re.search(rf"(?<!\w){pattern}(?!\w)", _plain(answer)) is not None


def wilson_interval(right: int, asked: int) -> tuple[float, float]:
    """95 % score interval of a share.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927).
    """
    if asked == 0:
        return 0.0, 1.0
    share, z2 = right / asked, _Z_95**2
    centre = share + z2 / (2 * asked)
    spread = _Z_95 * math.sqrt(share * (1 - share) / asked + z2 / (4 * asked**2))
    scale = 1 + z2 / asked
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
