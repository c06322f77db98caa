"""Masks all texts of rows: conversations with the columns beside them, and rows on their way to `rejected`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dolly.accounting import DETAIL_CHARACTERS, TEXT_CHARACTERS
from dolly.clean.privacy.candidate import CANDIDATE
from dolly.clean.privacy.masker import Masker, with_pseudonyms
from dolly.clean.privacy.settings import PrivacySettings

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

# The texts beside a conversation. What is masked in the first four counts as personal data of the row, once if the
# conversation holds it, too; a file's name is not the row's own, `expected` is a part of the answer, and `before`
# is the row once more.
FIELDS = ("title", "group_name", "variant", "category", "uri", "expected", "before")
_COUNTED = FIELDS[:4]
_TELLING = 6  # digits from which a number is not taken for another one


class MaskedRows(NamedTuple):
    """Masked columns.

    `texts` are all rows' texts, flat, None where nothing was masked; `fields` the values of `FIELDS` of each
    row, None where they stay as they are; `personal` the kinds that were masked in each row.
    """

    texts: pa.Array | None
    fields: Sequence[list[str | None] | None]
    personal: Sequence[list[str] | None]


def mask_rows(texts: pa.Array, fields: pa.Array, offsets: NDArray[np.int64], settings: PrivacySettings) -> MaskedRows:
    """Masks rows.

    Args:
        texts: all rows' texts, flat.
        fields: a list of the values of `FIELDS` for each row.
        offsets: `(rows + 1,)`, where each row's texts begin.
        settings: what is masked, and the key.
    """
    masker, rows = masker_of(settings), len(fields)
    changed: dict[int, str] = {}
    replaced: list[dict[str, str]] = [{} for _ in range(rows)]
    personal: list[list[str]] = [[] for _ in range(rows)]
    for at in np.flatnonzero(_may_hold(texts, settings)).tolist():
        masked = masker(texts[at].as_py())
        if masked.kinds:
            row = int(np.searchsorted(offsets, at, side="right")) - 1
            changed[at] = masked.text
            replaced[row] |= masked.replaced
            personal[row] += masked.kinds
    likely = np.any(_may_hold(fields.flatten(), settings).reshape(rows, len(FIELDS)), axis=1)
    new: list[list[str | None] | None] = [None] * rows
    for row in range(rows):
        if likely.item(row) or replaced[row]:
            span = range(int(offsets[row]), int(offsets[row + 1]))
            came = [texts[at].as_py() for at in span]
            said = [_repeated(changed.get(at, text), replaced[row]) for at, text in zip(span, came, strict=True)]
            changed |= {at: now for at, now, old in zip(span, said, came, strict=True) if now != old}
            new[row], kinds = _masked_fields(fields[row].as_py(), masker, replaced[row], came, said)
            personal[row] += kinds
    return MaskedRows(_with_changes(texts, changed), new, personal)


def _repeated(text: str, replaced: Mapping[str, str]) -> str:
    """The text without what was masked in another text of the conversation; a few digits may be another number."""
    telling = {piece: name for piece, name in replaced.items() if len(piece) >= _TELLING or not piece.isdigit()}
    return with_pseudonyms(text, telling)


def _with_changes(texts: pa.Array, changed: Mapping[int, str]) -> pa.Array | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not changed:
        return None
    mask = np.zeros(len(texts), dtype=np.bool_)
    mask[list(changed)] = True
    in_order = [changed[at] for at in sorted(changed)]
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(in_order, pa.string()))


def masked_rejections(frame: DataFrame, settings: PrivacySettings | None) -> DataFrame:
    """Masks `uri`, `detail` and `before` of rows that could not be read; None leaves them.

    `before` and `detail` are cut as `rejected` holds them.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.functions import arrow_udf
    from pyspark.sql.types import StringType, StructType

    if settings is None:
        return frame
    names = ("uri", "detail", "before")

    def mask(uris: Any, details: Any, befores: Any) -> Any:
        import pyarrow as pa

        masker = masker_of(settings)
        rows = []
        for uri, detail, before in zip(*(column.to_pylist() for column in (uris, details, befores)), strict=True):
            shown = masker.cut(before, TEXT_CHARACTERS) if before else None
            what = masker.cut(detail or "", DETAIL_CHARACTERS, shown.replaced if shown else None)
            rows.append({"uri": masker.file_name(uri), "detail": what.text, "before": shown.text if shown else before})
        return pa.array(rows, pa.struct([(name, pa.string()) for name in names]))

    returned = StructType()
    for name in names:
        returned = returned.add(name, StringType())
    # Spark's stubs know scalar Arrow functions by decorator only.
    masked: Any = arrow_udf(typed_for_arrow(mask), returned)  # type: ignore[call-overload]
    frame = frame.withColumn("_masked", masked(*names))
    return frame.withColumns({name: F.col("_masked")[name] for name in names}).drop("_masked")


@lru_cache(maxsize=1)
def masker_of(settings: PrivacySettings) -> Masker:
    """The masker, built once a worker process."""
    return Masker(settings)


def _may_hold(texts: pa.Array, settings: PrivacySettings) -> NDArray[np.bool_]:
    import pyarrow.compute as pc

    if "PERSON" in settings.kinds and settings.names:
        return np.ones(len(texts), dtype=np.bool_)
    matches = pc.match_substring_regex(texts, CANDIDATE).fill_null(False)
    return np.asarray(matches.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _masked_fields(
    values: Sequence[str | None], masker: Masker, replaced: dict[str, str], said: list[str], masked_said: list[str]
) -> tuple[list[str | None], list[str]]:
    """The masked values of `FIELDS`, and the kinds of those that count."""
    new: dict[str, str | None] = dict(zip(FIELDS, values, strict=True))
    kinds: list[str] = []
    for name, value in zip(FIELDS, values, strict=True):
        if not value:
            continue
        if name == "uri":
            new[name] = masker.file_name(value)
        elif name == "before":
            new[name] = masker.cut(value, TEXT_CHARACTERS, replaced).text
        else:
            masked = masker(value, replaced)
            new[name] = masked.text
            kinds += masked.kinds if name in _COUNTED else ()
    old, fact = values[FIELDS.index("expected")], new["expected"]
    if old and fact and any(old in text for text in said) and not any(fact in text for text in masked_said):
        # A part of what was masked: no answer can hold it any more, so it can't be asked for.
        new["expected"] = ""
    return list(new.values()), kinds


def typed_for_arrow(function: Any) -> Any:
    """The function with the annotations by which Spark knows an Arrow UDF; those of our modules are only strings."""
    import pyarrow

    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    function.__annotations__ = dict.fromkeys((*arguments, "return"), pyarrow.Array)
    return function
