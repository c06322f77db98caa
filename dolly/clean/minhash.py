"""MinHash signatures of texts and their LSH bands, vectorised over an Arrow batch.

Broder (1997); banding as in Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3.
With 12 bands of 5 rows a pair of similarity 0.8 meets in some band with probability 0.99, one of 0.7
with 0.89, one of 0.3 with 0.03; those that meet are then compared exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dolly.clean.shingles import Grams, mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHINGLE_WORDS = 3
BANDS, ROWS = 12, 5
# Texts of fewer shingles are only compared exactly: a few words in common say nothing of them.
MIN_SHINGLES = 6
_SEEDS = mixed(np.arange(1, BANDS * ROWS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def bands(shingles: Grams) -> NDArray[np.uint64]:
    """Band hashes `(texts, BANDS)`; all zero for a text of fewer than `MIN_SHINGLES` shingles."""
    counts = np.diff(shingles.offsets)
    long_enough = np.flatnonzero(counts >= MIN_SHINGLES)
    out = np.zeros((len(counts), BANDS), dtype=np.uint64)
    filled = np.flatnonzero(counts > 0)
    if not len(long_enough):
        return out
    segment = np.searchsorted(filled, long_enough)
    starts = shingles.offsets[:-1][filled]
    low = shingles.hashes.astype(np.uint32)
    high = (shingles.hashes >> np.uint64(32)).astype(np.uint32)
    for band in range(BANDS):
        combined = np.full(len(long_enough), band + 1, dtype=np.uint64)
        for row in range(ROWS):
            seed = int(_SEEDS[band * ROWS + row])
            # Two independent halves of a 64-bit hash make a family of hash functions
            # (Kirsch and Mitzenmacher, 2006), then mixed, as the minimum looks at the high bits.
            value = low * np.uint32(seed & 0xFFFFFFFF | 1) + high * np.uint32(seed >> 32 | 1)
            value ^= value >> np.uint32(15)
            value *= np.uint32(0x2C1B3C6D)
            smallest = np.minimum.reduceat(value, starts)[segment]
            combined = mixed(combined * np.uint64(0x9E3779B185EBCA87) + smallest)
        out[long_enough, band] = combined
    return out
