"""What no column expression can tell of a text: personal data, language, similarity, benchmarks.

All in one Arrow pass over the rows' texts, as moving them to Python costs more than most of the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dolly.clean.benchmarks import BenchmarkIndex
from dolly.clean.minhash import MIN_SHINGLES, SHINGLE_WORDS, bands
from dolly.clean.shingles import combined, ngrams, text_keys, words

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

# Bounds the tables of powers in `shingles`; pieces of this size also stay in a core's cache.
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class PrivacySettings:
    """What `privacy` is built from on an executor; `key` is never shown."""

    kinds: tuple[str, ...]
    regions: tuple[str, ...]
    names: tuple[str, ...]
    key: bytes

    def __repr__(self) -> str:
        return f"PrivacySettings(kinds={self.kinds}, regions={self.regions}, names={len(self.names)}, key=hidden)"


def with_annotations(
    frame: DataFrame, *, privacy: PrivacySettings | None, languages: bool, benchmarks: BenchmarkIndex | None
) -> DataFrame:
    """Masks `context` and `turns`, and adds what can be told of them.

    `personal`: kinds of data that were masked; `language` and `language_score`; `content_key` and
    `question_key`: hashes of all texts and of the first one with its context; `bands`: MinHash bands,
    empty for a short text; `benchmark` and `gram`: a benchmark's question and its words that are there.

    Args:
        frame: rows with `context` and `turns`.
        privacy: how personal data is found and replaced; None leaves it.
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
    frame = frame.withColumn("_found", annotate(texts))
    masked = F.col("_found.texts")
    turns = F.transform(
        "turns",
        lambda turn, at: F.struct(
            turn["role"].alias("role"),
            F.get(masked, F.when(at == 0, at).otherwise(at + 1)).alias("content"),
        ),
    )
    return frame.select(
        *[name for name in frame.columns if name not in ("context", "turns", "_found")],
        F.when(masked.isNull(), F.col("context")).otherwise(F.get(masked, F.lit(1))).alias("context"),
        F.when(masked.isNull(), F.col("turns")).otherwise(turns).alias("turns"),
        *[F.col(f"_found.{field.name}") for field in list(_arrow_type())[1:]],
    )


def _annotator(privacy: PrivacySettings | None, languages: bool, benchmarks: BenchmarkIndex | None) -> Any:
    def annotate(texts: pa.Array) -> pa.Array:
        import pyarrow as pa

        pieces = [_piece(part, privacy, languages, benchmarks) for part in _pieces(texts)]
        return pa.chunked_array(pieces, type=_arrow_type()).combine_chunks() if len(pieces) != 1 else pieces[0]

    # Spark asks for the types of an Arrow UDF; the annotations of this module are only strings.
    import pyarrow

    annotate.__annotations__ = {"texts": pyarrow.Array, "return": pyarrow.Array}
    return annotate


def _pieces(texts: pa.Array) -> Iterator[pa.Array]:
    """Slices of some `_PIECE_BYTES`, each of whole rows."""
    import pyarrow.compute as pc

    sizes = pc.binary_length(texts.flatten()).fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(sizes)])[_row_offsets(texts)]
    start = 0
    while start < len(texts):
        stop = int(np.searchsorted(ends, ends[start] + _PIECE_BYTES, side="right")) - 1
        stop = min(max(stop, start + 1), len(texts))
        yield texts.slice(start, stop - start)
        start = stop


def _row_offsets(texts: pa.Array) -> Any:
    offsets = texts.offsets.to_numpy()
    return offsets - offsets[0]


def _piece(
    texts: pa.Array, privacy: PrivacySettings | None, languages: bool, benchmarks: BenchmarkIndex | None
) -> pa.Array:
    import pyarrow as pa

    rows = _row_offsets(texts)
    flat = texts.flatten()
    masked, personal = _masked(flat, rows, privacy) if privacy else (None, [None] * len(texts))
    flat = masked if masked is not None else flat
    found = words(flat)
    keys = text_keys(found)
    asked = keys[np.stack([rows[:-1], np.minimum(rows[:-1] + 1, len(keys) - 1)], axis=1).reshape(-1)]
    shingles = ngrams(found._replace(offsets=found.offsets[rows]), SHINGLE_WORDS)
    values = bands(shingles)
    short = np.diff(shingles.offsets) < MIN_SHINGLES
    matches = benchmarks.matches(found, rows) if benchmarks else [None] * len(texts)
    told = _languages(flat, rows) if languages else [(None, None)] * len(texts)
    changed = [kinds is not None and bool(kinds) for kinds in personal]
    new_texts = [flat[rows[i] : rows[i + 1]].to_pylist() if changed[i] else None for i in range(len(texts))]
    columns = [
        pa.array(new_texts, pa.list_(pa.string())),
        pa.array(personal, pa.list_(pa.string())),
        pa.array([code for code, _ in told], pa.string()),
        pa.array([score for _, score in told], pa.float64()),
        pa.array(combined(keys, rows).view(np.int64)),
        pa.array(combined(asked, np.arange(0, len(asked) + 1, 2)).view(np.int64)),
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


def _masked(flat: pa.Array, rows: Any, privacy: PrivacySettings) -> tuple[pa.Array | None, list[list[str]]]:
    """Texts with pseudonyms, None if there was nothing to mask, and the kinds found in each row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from dolly.clean.privacy import CANDIDATE, mask

    detector, pseudonyms = _privacy(privacy)
    personal: list[list[str]] = [[] for _ in range(len(rows) - 1)]
    likely = pc.match_substring_regex(flat, CANDIDATE).to_numpy(zero_copy_only=False)
    if "PERSON" in privacy.kinds and privacy.names:
        likely = np.ones(len(flat), dtype=np.bool_)
    changed: dict[int, str] = {}
    for at in np.flatnonzero(likely.astype(np.bool_)).tolist():
        text, kinds = mask(flat[at].as_py(), detector, pseudonyms)
        if kinds:
            changed[at] = text
            personal[int(np.searchsorted(rows, at, side="right")) - 1] += kinds
    if not changed:
        return None, personal
    places = np.zeros(len(flat), dtype=np.bool_)
    places[list(changed)] = True
    return pc.replace_with_mask(flat, pa.array(places), pa.array(list(changed.values()), pa.string())), personal


@lru_cache(maxsize=1)
def _privacy(settings: PrivacySettings) -> Any:
    """Detector and pseudonyms, built once a worker process."""
    from dolly.clean.privacy import Detector, Pseudonyms

    detector = Detector(kinds=settings.kinds, regions=settings.regions, names=settings.names)
    return detector, Pseudonyms(settings.key)


def _languages(flat: pa.Array, rows: Any) -> list[tuple[str | None, float | None]]:
    from dolly.clean.language import detect

    # The last answer tells best; a document is the first of its two texts.
    place = np.where(np.diff(rows) > 2, rows[1:] - 1, rows[:-1])
    return list(detect(flat.take(place).to_pylist()))


def _arrow_type() -> Any:
    import pyarrow as pa

    return pa.struct(
        [
            ("texts", pa.list_(pa.string())),
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
