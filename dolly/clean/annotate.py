"""What no column expression can compute from a text: personal data, language, similarity, benchmarks.

All in one Arrow pass over the rows' texts, as moving them to Python costs more than most of the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dolly.clean.benchmarks import BenchmarkIndex
from dolly.clean.masking import FIELDS, MaskedRows, mask_rows, typed_for_arrow
from dolly.clean.minhash import MIN_SHINGLES, SHINGLE_WORDS, bands
from dolly.clean.privacy.settings import PrivacySettings
from dolly.clean.shingles import combined, ngrams, text_keys, words

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

# Bounds the tables of powers in `shingles`; pieces of this size also stay in a core's cache.
_PIECE_BYTES = 1 << 20


def with_annotations(
    frame: DataFrame, *, privacy: PrivacySettings | None, languages: bool, benchmarks: BenchmarkIndex | None
) -> DataFrame:
    """Masks `context`, `turns` and those columns of `FIELDS` that are there, and adds columns that describe the texts.

    `personal`: kinds of data that were masked; `language` and `language_score`; `content_key` and
    `question_key`: hashes of all texts and of the first one with its context; `bands`: MinHash bands,
    empty for a short text; `benchmark` and `gram`: a benchmark's question and its words that are there.

    Args:
        frame: rows with `context` and `turns`.
        privacy: how personal data is masked; None leaves it.
        languages: is the language wanted?
        benchmarks: questions to look for; None for none.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.functions import arrow_udf
    from pyspark.sql.pandas.types import from_arrow_type

    # Spark's stubs know scalar Arrow functions by decorator only.
    annotate: Any = arrow_udf(_annotator(privacy, languages, benchmarks), from_arrow_type(_arrow_type()))  # type: ignore[call-overload]
    contents = F.transform("turns", lambda turn: turn["content"])
    # Question, context, answer: the order in which they are rendered.
    texts = F.concat(F.slice(contents, 1, 1), F.array("context"), F.slice(contents, 2, 2**31 - 1))
    there = [name for name in FIELDS if name in frame.columns]
    values = [F.col(name) if name in there else F.lit(None).cast("string") for name in FIELDS]
    frame = frame.withColumn("_annotated", annotate(texts, F.array(*values)))
    masked, fields = F.col("_annotated.texts"), F.col("_annotated.fields")
    return frame.select(
        *[name for name in frame.columns if name not in ("context", "turns", "_annotated", *there)],
        *[
            F.when(fields.isNull(), F.col(name)).otherwise(F.get(fields, F.lit(FIELDS.index(name)))).alias(name)
            for name in there
        ],
        F.when(masked.isNull(), F.col("context")).otherwise(F.get(masked, F.lit(1))).alias("context"),
        F.when(masked.isNull(), F.col("turns")).otherwise(_turns_of(masked)).alias("turns"),
        *[F.col(f"_annotated.{field.name}") for field in list(_arrow_type())[2:]],
    )


def _turns_of(texts: Column) -> Column:
    """The column `turns` with other texts, of which the second one is the context."""
    from pyspark.sql import functions as F

    def turn_of(turn: Column, at: Column) -> Column:
        content = F.get(texts, F.when(at == 0, at).otherwise(at + 1))
        return F.struct(turn["role"].alias("role"), content.alias("content"))

    return F.transform("turns", turn_of)


def _annotator(privacy: PrivacySettings | None, languages: bool, benchmarks: BenchmarkIndex | None) -> Any:
    def annotate(texts: pa.Array, fields: pa.Array) -> pa.Array:
        import pyarrow as pa

        pieces = [
            _piece(texts.slice(at, rows), fields.slice(at, rows), privacy, languages, benchmarks)
            for at, rows in _pieces(texts)
        ]
        return pa.chunked_array(pieces, type=_arrow_type()).combine_chunks() if len(pieces) != 1 else pieces[0]

    return typed_for_arrow(annotate)


def _pieces(texts: pa.Array) -> Iterator[tuple[int, int]]:
    """First row and number of rows of pieces of some `_PIECE_BYTES`."""
    import pyarrow.compute as pc

    sizes = pc.binary_length(texts.flatten()).fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(sizes)])[_row_offsets(texts)]
    start = 0
    while start < len(texts):
        stop = int(np.searchsorted(ends, ends[start] + _PIECE_BYTES, side="right")) - 1
        stop = min(max(stop, start + 1), len(texts))
        yield start, stop - start
        start = stop


def _row_offsets(texts: pa.Array) -> Any:
    offsets = texts.offsets.to_numpy()
    return offsets - offsets[0]


def _piece(
    texts: pa.Array,
    fields: pa.Array,
    privacy: PrivacySettings | None,
    languages: bool,
    benchmarks: BenchmarkIndex | None,
) -> pa.Array:
    import pyarrow as pa

    rows = _row_offsets(texts)
    flat = texts.flatten()
    none = [None] * len(texts)
    masked = mask_rows(flat, fields, rows, privacy) if privacy else MaskedRows(None, none, none)
    flat = flat if masked.texts is None else masked.texts
    text_words = words(flat)
    keys = text_keys(text_words)
    requested = keys[np.stack([rows[:-1], np.minimum(rows[:-1] + 1, len(keys) - 1)], axis=1).reshape(-1)]
    shingles = ngrams(text_words._replace(offsets=text_words.offsets[rows]), SHINGLE_WORDS)
    values = bands(shingles)
    short = np.diff(shingles.offsets) < MIN_SHINGLES
    matches = benchmarks.matches(text_words, rows) if benchmarks else none
    detected = _languages(flat, rows) if languages else [(None, None)] * len(texts)
    new_texts = [flat[rows[i] : rows[i + 1]].to_pylist() if kinds else None for i, kinds in enumerate(masked.personal)]
    columns = [
        pa.array(new_texts, pa.list_(pa.string())),
        pa.array(masked.fields, pa.list_(pa.string())),
        pa.array(masked.personal, pa.list_(pa.string())),
        pa.array([code for code, _ in detected], pa.string()),
        pa.array([score for _, score in detected], pa.float64()),
        pa.array(combined(keys, rows).view(np.int64)),
        pa.array(combined(requested, np.arange(0, len(requested) + 1, 2)).view(np.int64)),
        _band_lists(values, short),
        pa.array([match.question if match else None for match in matches], pa.string()),
        pa.array([match.gram if match else None for match in matches], pa.string()),
    ]
    return pa.StructArray.from_arrays(columns, fields=list(_arrow_type()))


def _band_lists(values: Any, short: Any) -> pa.Array:
    import pyarrow as pa

    counts = np.where(short, 0, values.shape[1])
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[~short].reshape(-1).view(np.int64)))


def _languages(flat: pa.Array, rows: Any) -> list[tuple[str | None, float | None]]:
    from dolly.clean.language import detect

    # Of a conversation the last answer, which is the longest prose; a document is the first of its two texts.
    at = np.where(np.diff(rows) > 2, rows[1:] - 1, rows[:-1])
    return list(detect(flat.take(at).to_pylist()))


def _arrow_type() -> Any:
    import pyarrow as pa

    return pa.struct(
        [
            ("texts", pa.list_(pa.string())),
            ("fields", pa.list_(pa.string())),
            ("personal", pa.list_(pa.string())),
            ("language", pa.string()),
            ("language_score", pa.float64()),
            ("content_key", pa.int64()),
            ("question_key", pa.int64()),
            ("bands", pa.list_(pa.int64())),
            ("benchmark", pa.string()),
            ("gram", pa.string()),
        ]
    )
