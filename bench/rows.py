"""Instruction rows for benchmarks, as many as one likes, in the manner of Alpaca's, with known near duplicates.

Texts are walks through a word-bigram chain of `alpaca_2k.json`: real words in a real order with real
frequencies, but no two walks alike. Instructions have 6 to 18 words and answers 15 to 90, Alpaca's usual
lengths (some 65 words and 370 characters a row).
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

SHARED = Path(os.environ.get("DOLLY_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
ALPACA = SHARED / "alpaca" / "alpaca_2k.json"


class Rows(NamedTuple):
    """`table` has the string columns id, instruction, output; `planted` pairs of row numbers `(pairs, 2)`."""

    table: pa.Table
    planted: np.ndarray


def make_rows(count: int, *, seed: int = 17, near_share: float = 0.1, exact_share: float = 0.02) -> Rows:
    """Makes `count` rows; near duplicates have from 1 word to half of their words replaced."""
    rng = np.random.default_rng(seed)
    vocabulary, successors, offsets = _chain()
    near, exact = int(count * near_share), int(count * exact_share)
    fresh = count - near - exact
    questions, answers = rng.integers(6, 19, fresh), rng.integers(15, 91, fresh)
    words = _walks(rng, successors, offsets, questions + answers)
    bounds = np.concatenate([[0], np.cumsum(questions + answers)])
    texts: list[list[int]] = [words[bounds[i] : bounds[i + 1]].tolist() for i in range(fresh)]
    lengths = questions.tolist()
    originals = rng.choice(fresh, near + exact, replace=False).tolist()
    for number, original in enumerate(originals):
        copy = list(texts[original])
        if number < near:
            changes = max(1, int(len(copy) * 0.5 * rng.random() ** 3))
            for place in rng.choice(len(copy), changes, replace=False).tolist():
                copy[place] = int(rng.integers(len(vocabulary)))
        texts.append(copy)
        lengths.append(lengths[original])
    order = rng.permutation(count)  # row number → place among the texts
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    instruction = [" ".join(vocabulary[w] for w in texts[at][: lengths[at]]) for at in order.tolist()]
    output = [" ".join(vocabulary[w] for w in texts[at][lengths[at] :]) for at in order.tolist()]
    planted = np.stack([place[np.asarray(originals)], place[np.arange(fresh, count)]], axis=1)
    ids = [f"r{number:08d}" for number in range(count)]
    return Rows(pa.table({"id": ids, "instruction": instruction, "output": output}), planted)


def _chain() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Words, and for each one those that follow it somewhere, one after another with offsets."""
    texts = [f"{r['instruction']} {r['input']} {r['output']}".split() for r in json.loads(ALPACA.read_text())]
    vocabulary = sorted({word for text in texts for word in text})
    number = {word: at for at, word in enumerate(vocabulary)}
    followers: list[list[int]] = [[] for _ in vocabulary]
    for text in texts:
        for one, two in itertools.pairwise(text):
            followers[number[one]].append(number[two])
    everywhere = [number[text[0]] for text in texts if text]
    filled = [words or everywhere for words in followers]
    offsets = np.concatenate([[0], np.cumsum([len(words) for words in filled])])
    return vocabulary, np.concatenate([np.asarray(words) for words in filled]), offsets


def _walks(rng: np.random.Generator, successors: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Walks of the given lengths, one after another."""
    longest = int(lengths.max())
    state = successors[rng.integers(len(successors), size=len(lengths))]
    steps = np.empty((longest, len(lengths)), dtype=np.int32)
    for step in range(longest):
        steps[step] = state
        begin, end = offsets[state], offsets[state + 1]
        state = successors[begin + (rng.random(len(state)) * (end - begin)).astype(np.int64)]
        jump = rng.random(len(state)) < 0.1  # now and then a new thread, so that walks part for good
        state[jump] = successors[rng.integers(len(successors), size=int(jump.sum()))]
    inside = np.arange(longest)[:, None] < lengths[None, :]
    return steps.T[inside.T]
