"""Bands meet as often as theory says, and short texts have none."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa

from dolly.clean.minhash import BANDS, ROWS, bands
from dolly.clean.shingles import ngrams, words

WORDS = [f"word{number}" for number in range(3000)]


def signatures(texts: list[str]) -> np.ndarray:
    return bands(ngrams(words(pa.array(texts)), 3))


def pairs_with(overlap: int, count: int, seed: int) -> tuple[list[str], list[str], float]:
    """Texts of 62 words of which the first `overlap` are shared; and the Jaccard similarity of their trigrams."""
    source = random.Random(seed)
    left, right = [], []
    for _ in range(count):
        drawn = source.sample(WORDS, 124 - overlap)
        shared, rest = drawn[:overlap], drawn[overlap:]
        left.append(" ".join(shared + rest[: 62 - overlap]))
        right.append(" ".join(shared + rest[62 - overlap :]))
    common = overlap - 2
    return left, right, common / (2 * 60 - common)


def test_similar_texts_meet_as_often_as_theory_says() -> None:
    for overlap in (58, 52, 44, 30):
        left, right, similarity = pairs_with(overlap, 400, overlap)
        met = (signatures(left) == signatures(right)).any(axis=1).mean()
        expected = 1 - (1 - similarity**ROWS) ** BANDS
        assert abs(met - expected) < 0.09, (similarity, met, expected)


def test_short_texts_have_no_bands() -> None:
    made = signatures(["one two three", "", "a b c d e f g", "a b c d e f g h"])
    assert not made[:3].any()
    assert made[3].all()


def test_bands_do_not_depend_on_the_batch() -> None:
    left, _, _ = pairs_with(30, 5, 1)
    together = signatures(["short", *left, ""])
    assert (together[1:-1] == np.concatenate([signatures([text]) for text in left])).all()
