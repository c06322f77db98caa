"""Word hashes: the same as counting by hand, whatever the batch, and no n-gram over a text's end."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pyarrow as pa

from dolly.clean.shingles import combined, ngrams, text_keys, words

TEXTS = [
    "The cat sat.",
    "",
    "the CAT  sat",
    "Größe: 3.5 µm, naïve",
    " a-b_c ",
    "東京 は",
    None,
    "x",
    "The cat sat on it",
]


def split(text: str | None) -> list[str]:
    return re.findall(r"[a-z0-9\x80-\U0010ffff]+", (text or "").lower())


def test_words_are_counted_per_text() -> None:
    found = words(pa.array(TEXTS))
    assert np.diff(found.offsets).tolist() == [len(split(text)) for text in TEXTS]
    spelled = [found.text[a:b].tobytes().decode() for a, b in found.spans]
    assert spelled == list(itertools.chain.from_iterable(split(text) for text in TEXTS))
    assert found.has_digit.tolist() == [any(c.isdigit() for c in word) for word in spelled]


def test_equal_words_have_equal_hashes_and_others_do_not() -> None:
    found = words(pa.array(TEXTS))
    spelled = [found.text[a:b].tobytes().decode() for a, b in found.spans]
    assert len(set(found.hashes.tolist())) == len(set(spelled))
    assert len({(word, value) for word, value in zip(spelled, found.hashes.tolist(), strict=True)}) == len(set(spelled))


def test_hashes_do_not_depend_on_the_batch() -> None:
    whole = words(pa.array(TEXTS))
    alone = np.concatenate([words(pa.array([text], pa.string())).hashes for text in TEXTS])
    sliced = words(pa.array(["padding text", *TEXTS]).slice(1))
    assert whole.hashes.tolist() == alone.tolist() == sliced.hashes.tolist()


def test_ngrams_stay_within_a_text() -> None:
    found = words(pa.array(["a b c d", "e", "f g", "h i j", ""]))
    grams = ngrams(found, 3)
    assert np.diff(grams.offsets).tolist() == [2, 0, 0, 1, 0]
    assert grams.first.tolist() == [0, 1, 7]
    assert grams.hashes[2] == ngrams(words(pa.array(["H; i? J"])), 3).hashes[0]
    assert ngrams(words(pa.array(["c b a"])), 3).hashes[0] != ngrams(words(pa.array(["a b c"])), 3).hashes[0]


def test_fewer_words_than_the_ngram_make_none() -> None:
    grams = ngrams(words(pa.array(["a b", ""])), 5)
    assert grams.offsets.tolist() == [0, 0, 0]


def test_text_keys_ignore_case_and_white_space_and_nothing_else() -> None:
    texts = ["a + b", "A +\n b ", "a - b", "a+b", "ab", "", " \t", "a + c"]
    keys = text_keys(words(pa.array(texts))).tolist()
    assert keys[0] == keys[1] == keys[3]
    assert keys[5] == keys[6]
    assert len(set(keys)) == 5


def test_combined_keys_depend_on_order_and_borders() -> None:
    one, two = np.uint64(3), np.uint64(5)
    keys = np.array([one, two, two, one, one, two], dtype=np.uint64)
    rows = combined(keys, np.array([0, 2, 4, 5, 5, 6])).tolist()
    assert len(set(rows)) == 5
    assert combined(keys, np.array([0, 2, 4, 6])).tolist()[0] == combined(keys, np.array([0, 2, 4, 6])).tolist()[2]
