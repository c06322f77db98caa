"""Contents that nearly say the same: candidate pairs by LSH bands, compared exactly, then clustered.

A node is a content (`content_key`), not a row: rows of one content are exact duplicates anyway, and a
pair stays true whichever of them come and go. Texts and group are compared in one row for each content:
the one with the smallest `input_hash`. All results are independent of the partitioning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dolly.clean.minhash import SHINGLE_WORDS
from dolly.clean.shingles import Words, mixed, ngrams, words

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import Column, DataFrame

# A band that very many contents share (a form letter) would make quadratically many pairs: there
# each content is compared with the next ones in the order of their keys only, which still chains them.
_NEIGHBOURS = 64
# Questions and answers that differ in more than half of their words are not the same ones, however
# much of a long context they share.
_MIN_PART_SIMILARITY = 0.5
_NAME = re.compile(r"(?<=[a-z0-9,;:)] )[A-Z]\w+")
_WORD = re.compile(r"\w+")


def candidate_pairs(contents: DataFrame, *, fresh: DataFrame | None) -> DataFrame:
    """Pairs `a < b` of contents that share a band; each pair once.

    Args:
        contents: `content_key` and `bands`.
        fresh: `content_key` of the contents to pair with others; None for all.
    """
    from pyspark.sql import functions as F

    marks = []
    if fresh is not None:
        marks = ["fresh"]
        known = F.broadcast(fresh.select("content_key").distinct().withColumn("fresh", F.lit(True)))
        contents = contents.join(known, "content_key", "left").fillna({"fresh": False})
    long = contents.select("content_key", *marks, F.explode("bands").alias("band"))
    if fresh is not None:
        wanted = F.broadcast(long.where("fresh").select("band").distinct())
        long = long.join(wanted, "band", "left_semi")
    pairs: DataFrame = long.repartition("band").mapInArrow(_sharing, "a bigint, b bigint").distinct()
    return pairs


def near_pairs(pairs: DataFrame, good: DataFrame, *, threshold: float) -> DataFrame:
    """Those pairs that nearly say the same, with their `similarity`.

    Near are contents whose word trigrams have a Jaccard similarity of at least `threshold`, whose
    questions and answers are alike each by itself, and whose questions hold the same numbers and names:
    what a Gold card costs is not what a Silver card costs. Wordings that a source has put into one
    group on purpose are not near.

    Args:
        pairs: `a`, `b`; read twice, so best persisted.
        good: rows of `checked`, of which only those in `pairs` are looked at.
        threshold: 0 to 1.
    """
    from pyspark.sql import functions as F

    keys = pairs.select(F.explode(F.array("a", "b")).alias("content_key")).distinct()
    texts = _contents(good.join(keys, "content_key", "left_semi"))

    def side(name: str) -> DataFrame:
        columns = [F.col(column).alias(f"{column}_{name}") for column in ("question", "answer", "wordings")]
        return texts.select(F.col("content_key").alias(name), *columns)

    joined = (
        pairs.join(side("a"), "a").join(side("b"), "b").where("NOT (wordings_a <=> wordings_b) OR wordings_a IS NULL")
    )
    near: DataFrame = joined.select("a", "b", "question_a", "answer_a", "question_b", "answer_b").mapInArrow(
        _comparer(threshold), "a bigint, b bigint, similarity double"
    )
    return near


def _contents(rows: DataFrame) -> DataFrame:
    """One row a content: `content_key`, `question`, `answer`, `wordings` of the row with the smallest `input_hash`."""
    from pyspark.sql import functions as F

    def texts(role: str, same: bool) -> Column:
        chosen = F.filter("turns", lambda turn: (turn["role"] == role) == F.lit(same))
        return F.concat_ws("\n", F.transform(chosen, lambda turn: turn["content"]))

    columns = [texts("user", True).alias("question"), texts("user", False).alias("answer"), F.col("wordings")]
    first = rows.groupBy("content_key").agg(F.min_by(F.struct(*columns), "input_hash").alias("first"))
    return first.select("content_key", "first.*")


def clusters(pairs: DataFrame) -> DataFrame:
    """Connected components: `content_key` and `cluster`, the smallest key of its component.

    Each partition first reduces its pairs to a spanning forest; one task joins the forests. It holds
    16 bytes a pair: a hundred million near duplicates fit.
    """
    labels = "content_key bigint, cluster bigint"
    forest = pairs.select("a", "b").mapInArrow(_components, labels)
    whole = forest.selectExpr("content_key AS a", "cluster AS b").coalesce(1)
    components: DataFrame = whole.mapInArrow(_components, labels)
    return components


def _sharing(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    columns = _gathered(batches)
    if not columns:
        return
    order = np.lexsort((columns["content_key"], columns["band"]))
    band, key = columns["band"][order], columns["content_key"][order]
    once = np.ones(len(band), dtype=np.bool_)  # rows of one content share all bands
    once[1:] = (band[1:] != band[:-1]) | (key[1:] != key[:-1])
    band, key = band[once], key[once]
    fresh = columns["fresh"][order][once] if "fresh" in columns else None
    left, right = [], []
    for step in range(1, _NEIGHBOURS + 1):
        same = np.flatnonzero(band[step:] == band[:-step])
        if not len(same):
            break
        if fresh is not None:
            same = same[fresh[same] | fresh[same + step]]
        left.append(key[same])
        right.append(key[same + step])
    if left:
        both = np.stack([np.concatenate(left), np.concatenate(right)], axis=1)
        both = np.unique(both, axis=0)
        yield pa.RecordBatch.from_arrays([pa.array(both[:, 0]), pa.array(both[:, 1])], ["a", "b"])


def _components(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    columns = _gathered(batches)
    if not columns:
        return
    a, b = columns["a"], columns["b"]
    nodes, index = np.unique(np.concatenate([a, b]), return_inverse=True)
    one, two = index[: len(a)], index[len(a) :]
    graph = coo_array((np.ones(len(a), dtype=np.bool_), (one, two)), shape=(len(nodes), len(nodes)))
    count, label = connected_components(graph, directed=False)
    # Nodes are sorted, so the first of a component is its smallest.
    smallest = np.empty(count, dtype=np.int64)
    smallest[label[::-1]] = nodes[::-1]
    yield pa.RecordBatch.from_arrays([pa.array(nodes), pa.array(smallest[label])], ["content_key", "cluster"])


def _gathered(batches: Iterator[pa.RecordBatch]) -> dict[str, NDArray[Any]]:
    """The whole partition's columns as arrays; none if it is empty."""
    import pyarrow as pa

    filled = [batch for batch in batches if len(batch)]
    if not filled:
        return {}
    table = pa.Table.from_batches(filled)
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _comparer(threshold: float) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, len(batch), 1_000):
                yield _compared(batch.slice(start, 1_000), threshold)

    return compare


def _compared(batch: pa.RecordBatch, threshold: float) -> pa.RecordBatch:
    import pyarrow as pa

    sides = [(words(batch.column(f"question_{side}")), words(batch.column(f"answer_{side}"))) for side in ("a", "b")]
    (question_a, answer_a), (question_b, answer_b) = sides
    whole = [_joined(question, answer) for question, answer in sides]
    trigrams = [ngrams(row_words, SHINGLE_WORDS) for row_words in whole]
    similarity = jaccard(*[(grams.hashes, grams.offsets) for grams in trigrams])
    near = similarity >= threshold
    near &= _alike(question_a, question_b) & _alike(answer_a, answer_b)
    near &= jaccard(*[_numbers(question) for question in (question_a, question_b)]) == 1.0
    near[near] = [
        _same_names(batch.column("question_a")[at].as_py(), batch.column("question_b")[at].as_py())
        for at in np.flatnonzero(near).tolist()
    ]
    columns = [batch.column("a"), batch.column("b"), pa.array(similarity)]
    return pa.RecordBatch.from_arrays(columns, ["a", "b", "similarity"]).filter(pa.array(near))


def jaccard(
    left: tuple[NDArray[np.uint64], NDArray[np.int64]], right: tuple[NDArray[np.uint64], NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Jaccard similarity `(rows,)` of two columns of sets; 1 for two empty sets.

    Args:
        left: hashes `(items,)` and offsets `(rows + 1,)`; an item that occurs twice counts once.
        right: the same for the other column.
    """
    rows = len(left[1]) - 1
    keys, set_rows = [], []
    for hashes, offsets in (left, right):
        row = np.repeat(np.arange(rows, dtype=np.uint64), np.diff(offsets))
        key, first = np.unique(mixed(row * np.uint64(0x9E3779B97F4A7C15) ^ hashes), return_index=True)
        keys.append(key)
        set_rows.append(row[first].astype(np.int64))
    _, shared, _ = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    both = np.bincount(set_rows[0][shared], minlength=rows)
    either = np.bincount(set_rows[0], minlength=rows) + np.bincount(set_rows[1], minlength=rows) - both
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def _alike(left: Words, right: Words) -> NDArray[np.bool_]:
    return jaccard((left.hashes, left.offsets), (right.hashes, right.offsets)) >= _MIN_PART_SIMILARITY


def _numbers(text: Words) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    before = np.concatenate([[0], np.cumsum(text.has_digit)])
    return text.hashes[text.has_digit], before[text.offsets]


def _same_names(left: str, right: str) -> bool:
    """Does each text contain all names of the other, in any case? Names are capitalised words inside a sentence."""
    return all(
        set(map(str.lower, _NAME.findall(text))) <= set(map(str.lower, _WORD.findall(other)))
        for text, other in ((left, right), (right, left))
    )


def _joined(left: Words, right: Words) -> Words:
    """Concatenates the words of two texts in each row; for n-grams only."""
    rows = len(left.offsets) - 1
    counts = np.stack([np.diff(left.offsets), np.diff(right.offsets)], axis=1)
    ends = np.cumsum(counts.reshape(-1))
    hashes = np.empty(len(left.hashes) + len(right.hashes), dtype=np.uint64)
    starts = np.concatenate([[0], ends])[:-1].reshape(rows, 2)
    for column, side in enumerate((left, right)):
        shift = np.repeat(starts[:, column] - side.offsets[:-1], counts[:, column])
        hashes[np.arange(len(side.hashes)) + shift] = side.hashes
    offsets = np.concatenate([[0], ends[1::2]]).astype(np.int64)
    return left._replace(hashes=hashes, offsets=offsets)
