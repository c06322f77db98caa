"""Evaluation questions in training rows, detected by word n-grams: a model trained on them would score too well.

Overlap of 13 words as in Brown et al. (2020), appendix C. A question of fewer words must occur whole,
and one of fewer than `ALONE` words must be all of a row's first turn: "Tell me more" is in many rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dolly.clean.shingles import Words, ngrams, words
from dolly.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALONE = 5


class Question(NamedTuple):
    """A question of a benchmark; `others` are further texts of it, such as its context or answer."""

    name: str
    text: str
    others: tuple[str, ...] = ()


class Match(NamedTuple):
    """Which question a row holds, by which words of it."""

    question: str
    gram: str


@dataclass
class BenchmarkIndex:
    """N-gram hashes of all questions, by length in words; sent to the executors."""

    ngram: int
    by_length: dict[int, dict[int, Match]] = field(default_factory=dict)

    @classmethod
    def of(cls, questions: Sequence[Question], *, ngram: int) -> BenchmarkIndex:
        """Indexes questions; `ngram` in words."""
        import pyarrow as pa

        index = cls(ngram)
        for question in questions:
            for number, text in enumerate((question.text, *question.others)):
                text_words = words(pa.array([text]))
                count = len(text_words.hashes)
                # A short answer or context alone ("Paris", "Confident") does not identify the question.
                size = ngram if count >= ngram else count if number == 0 else 0
                if size == 0:
                    continue
                grams = ngrams(text_words, size)
                matches = index.by_length.setdefault(size, {})
                for first, value in zip(grams.first.tolist(), grams.hashes.tolist(), strict=True):
                    begin, end = text_words.spans[first][0], text_words.spans[first + size - 1][1]
                    gram = text_words.text[begin:end].tobytes().decode("utf-8", "replace")
                    matches.setdefault(value, Match(question.name, " ".join(gram.split())))
        return index

    def matches(self, texts: Words, rows: NDArray[np.int64]) -> list[Match | None]:
        """The first match of each row.

        Args:
            texts: words of the rows' texts, several texts per row.
            rows: `(rows + 1,)`, index in `texts` of each row's first text.
        """
        result: list[Match | None] = [None] * (len(rows) - 1)
        for size, by_hash in sorted(self.by_length.items(), reverse=True):
            grams = ngrams(texts, size)
            # A table of the low bits excludes nearly all n-grams before the exact look-up.
            likely = np.zeros(1 << 16, dtype=np.bool_)
            likely[np.fromiter(by_hash, dtype=np.uint64) & np.uint64(0xFFFF)] = True
            for at in np.flatnonzero(likely[grams.hashes & np.uint64(0xFFFF)]).tolist():
                match = by_hash.get(int(grams.hashes[at]))
                text = int(np.searchsorted(grams.offsets, at, side="right")) - 1
                row = int(np.searchsorted(rows, text, side="right")) - 1
                if match is None or result[row] is not None:
                    continue
                alone = text == rows[row] and texts.offsets[text + 1] - texts.offsets[text] == size
                if size < ALONE and not alone:
                    continue
                result[row] = match
        return result


def read_questions(name: str, path: str, *, file_format: str, fields: Sequence[str]) -> list[Question]:
    """Reads a benchmark's questions.

    Args:
        name: the benchmark's name in the config.
        path: a file of records.
        file_format: `json`, `jsonl` or `csv`.
        fields: dotted names, lists are walked through; the first one is the question.

    Raises:
        DataError: no such file, a record that can't be read, or one without the question.
    """
    from dolly.ingest.parse import records

    file = Path(path)
    if not file.is_file():
        raise DataError(
            found=f"no file {path}",
            expected=f"the questions of benchmark {name}",
            fix="correct clean.benchmarks or put the file there",
        )
    questions = []
    for record in records(file.read_bytes(), file_format):
        texts = [text for field_name in fields for text in _texts(record.fields, field_name.split("."))]
        first = list(_texts(record.fields, fields[0].split(".")))
        if not first:
            raise DataError(
                found=f"{path}: record {record.position} has no {fields[0]} ({record.detail or 'other fields'})",
                expected="a question in each record",
                fix=f"correct clean.benchmarks.{name}.fields",
            )
        number = (record.fields or {}).get("question_id", (record.fields or {}).get("id", record.position))
        # Each turn of a dialogue is a separate question.
        for text in first:
            questions.append(Question(f"{name}:{number}", text, tuple(t for t in texts if t not in first)))
    return questions


def _texts(node: Any, path: list[str]) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _texts(item, path)
    elif not path:
        if isinstance(node, str) and node.strip():
            yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _texts(node[path[0]], path[1:])
