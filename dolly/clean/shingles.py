"""Texts → hashes of their words and word n-grams, for a whole Arrow batch at once.

A word is a run of ASCII letters and digits and of all other bytes from 0x80, in lower case. Its hash
is a polynomial over its UTF-8 bytes modulo 2**64, taken from prefix sums (Karp and Rabin, 1987), so
that no Python object is made per word. All hashes are the same on each machine and in each run.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)
_IN_WORD = np.zeros(256, dtype=np.bool_)
_IN_WORD[list(b"abcdefghijklmnopqrstuvwxyz0123456789")] = True
_IN_WORD[128:] = True
_IS_DIGIT = np.zeros(256, dtype=np.bool_)
_IS_DIGIT[list(b"0123456789")] = True
_IS_SPACE = np.zeros(256, dtype=np.bool_)
_IS_SPACE[list(b" \t\n\v\f\r")] = True
_ORDER = np.array([0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)


class Words(NamedTuple):
    """The words of a batch of texts, one after another.

    hashes: `(words,)`; offsets: `(texts + 1,)`, where each text's words begin; has_digit: `(words,)`;
    spans: `(words, 2)`, where a word begins and ends in `text`, the batch's lower-case UTF-8, and
    bounds: `(texts + 1,)`, where each text does.
    """

    hashes: Hashes
    offsets: NDArray[np.int64]
    has_digit: NDArray[np.bool_]
    spans: NDArray[np.int64]
    text: NDArray[np.uint8]
    bounds: NDArray[np.int64]


class Grams(NamedTuple):
    """Hashes `(grams,)` of a batch's n-grams and `(texts + 1,)` offsets; `first` is a gram's first word."""

    hashes: Hashes
    offsets: NDArray[np.int64]
    first: NDArray[np.int64]


def mixed(values: Hashes) -> Hashes:
    """Spreads each value over all 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def words(texts: pa.Array) -> Words:
    """Splits a string array into words; a null is a text without words."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lower = pc.utf8_lower(pc.fill_null(texts, "")).cast(pa.large_string())
    bounds = np.frombuffer(lower.buffers()[1], dtype=np.int64)[lower.offset : lower.offset + len(lower) + 1]
    buffer = lower.buffers()[2]
    data = np.frombuffer(buffer, dtype=np.uint8)[bounds[0] : bounds[-1]] if buffer else np.zeros(0, np.uint8)
    bounds = bounds - bounds[0]
    inside = _IN_WORD[data]
    starts, ends = inside.copy(), inside.copy()
    starts[1:] &= ~inside[:-1]
    ends[:-1] &= ~inside[1:]
    filled = np.diff(bounds) > 0  # the end of a text ends its last word
    first, last = bounds[:-1][filled], bounds[1:][filled] - 1
    starts[first], ends[last] = inside[first], inside[last]
    begin, end = np.flatnonzero(starts), np.flatnonzero(ends) + 1

    digits = np.concatenate([[0], np.cumsum(_IS_DIGIT[data])])
    return Words(
        hashes=_polynomials(data, begin, end),
        offsets=np.searchsorted(begin, bounds).astype(np.int64),
        has_digit=digits[end] > digits[begin],
        spans=np.stack([begin, end], axis=1),
        text=data,
        bounds=bounds,
    )


def text_keys(texts: Words) -> Hashes:
    """A hash `(texts,)` of each whole text, the same for texts that differ in case and white space only."""
    solid = ~_IS_SPACE[texts.text]
    before = np.concatenate([[0], np.cumsum(solid)])[texts.bounds]
    return _polynomials(texts.text[solid], before[:-1], before[1:])


def _polynomials(data: NDArray[np.uint8], begin: NDArray[np.int64], end: NDArray[np.int64]) -> Hashes:
    """A hash of each stretch `data[begin:end]`."""
    power, inverse = _powers(1 << max(len(data), 1).bit_length())
    sums = np.zeros(len(data) + 1, dtype=np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * power[: len(data)], out=sums[1:])
    length = (end - begin).astype(np.uint64)
    return mixed((sums[end] - sums[begin]) * inverse[begin] + length)


def combined(keys: Hashes, offsets: NDArray[np.int64]) -> Hashes:
    """One hash `(rows,)` of each row's keys, in their order; `offsets` is `(rows + 1,)`."""
    index = np.arange(len(keys)) - np.repeat(offsets[:-1], np.diff(offsets))
    spread = mixed(keys + (index.astype(np.uint64) + np.uint64(1)) * _ORDER[0])
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(spread, dtype=np.uint64)])[offsets]
    return mixed(sums[1:] - sums[:-1])


def ngrams(texts: Words, size: int) -> Grams:
    """All runs of `size` words within one text, in their order."""
    hashes = texts.hashes
    if len(hashes) < size:
        return Grams(hashes[:0], np.zeros_like(texts.offsets), np.zeros(0, dtype=np.int64))
    total = len(hashes) - size + 1
    combined = hashes[:total]
    for shift in range(1, size):
        combined = mixed(combined * _ORDER[0] + hashes[shift : shift + total] * _ORDER[1])
    whole = np.ones(total, dtype=np.bool_)
    for shift in range(1, size):  # a run that begins so near a text's end would run into the next text
        near = texts.offsets[1:] - shift
        whole[near[(near >= 0) & (near < total)]] = False
    first = np.flatnonzero(whole)
    counts = np.maximum(np.diff(texts.offsets) - size + 1, 0)
    return Grams(combined[first], np.concatenate([[0], np.cumsum(counts)]), first)


@lru_cache(maxsize=2)
def _powers(length: int) -> tuple[Hashes, Hashes]:
    """Powers of the base and of its inverse modulo 2**64."""

    def table(base: int) -> Hashes:
        powers = np.ones(length, dtype=np.uint64)
        done = 1
        while done < length:
            powers[done : 2 * done] = powers[:done] * np.uint64(pow(base, done, 2**64))
            done *= 2
        return powers

    return table(_BASE), table(_INVERSE)
