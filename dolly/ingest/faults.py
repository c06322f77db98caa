"""When a source can't be used at all: the run stops, with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dolly.errors import DataError
from dolly.ingest.parse import FILE_RULES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# rule → (what was expected, what to do); {format}, {required} and {source} are filled in.
_ADVICE = {
    "empty_file": ("at least one record", "give another file or remove the source"),
    "not_utf8_file": ("UTF-8 text", "convert it, e.g. iconv -t UTF-8"),
    "wrong_kind": ("a file of format {format}", "correct format or path of sources.{source}"),
    "not_an_array": ("one JSON array of objects", "set format: jsonl for one object a line"),
    "truncated_file": ("a whole {format} file", "copy or export the file again"),
    "doubled_column": ("columns of different names", "rename one of them in the header"),
    "missing_field": ("the columns {required}", "map the columns in sources.{source}.columns"),
    "unknown_role": ("turns by people and assistants", "correct the roles or sources.{source}.columns.turns"),
    "wrong_type": ("texts in the mapped columns", "map other columns in sources.{source}.columns"),
    "unknown_kind": ("files whose names end as those of format {format}", "correct format or path of sources.{source}"),
    "file_too_large": ("files within ingest.max_file_megabytes", "raise it or split the file"),
    "record_too_large": ("records within ingest.max_record_characters", "raise it or correct the file"),
}
_OTHERWISE = ("at least one that can be used", "correct the source or remove it from the config")


def require_usable(
    frame: DataFrame | None,
    counts: Mapping[str | None, int],
    *,
    source: str,
    file_format: str,
    required: list[str],
    path: str,
    one_file: bool,
) -> None:
    """Stops the run where a source is one file that is at fault as a whole, or where no row is good.

    Args:
        frame: rows with `uri`, `position`, `rule` and `detail`; None where none was read.
        counts: rows of each rule, under None of the good ones; with those of files that were not read again.
        source: the source's name.
        file_format: its format.
        required: fields that each record must have.
        path: the source's path, for the message.
        one_file: is the source one file?

    Raises:
        DataError: nothing can be made of the source.
    """
    fatal = next((rule for rule in FILE_RULES if rule in counts), None) if one_file else None
    if fatal is None and counts.get(None, 0) == 0:
        fatal = max((rule for rule in counts if rule), key=lambda rule: counts[rule], default="empty_file")
    if fatal is None:
        return
    row = None if frame is None else frame.where(frame.rule == fatal).orderBy("uri", "position").first()
    detail = row["detail"] if row else "it holds no record"
    total = sum(counts.values())
    if total > 1 and not counts.get(None):
        file = "" if one_file or row is None else f"{row['uri']}: "
        detail = f"none of {total:,} records can be used, {counts[fatal]:,} of them by {fatal}; {file}{detail}"
    expected, fix = _ADVICE.get(fatal, _OTHERWISE)
    values = {"format": file_format, "required": ", ".join(required), "source": source}
    raise DataError(found=f"{path}: {detail}", expected=expected.format(**values), fix=fix.format(**values))
