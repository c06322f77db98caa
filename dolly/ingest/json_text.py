"""JSON text → records: one array of objects, or one object a line.

Stricter than Python's own reader, which keeps the last of two equal keys and takes NaN: a record
with either is rejected, not changed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from dolly.ingest.record import Record, file_fault, refused

# Far more than data has; Python's own limit depends on how deep the caller stands.
_MAX_DEPTH = 100
_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_TOO_DEEP = f"nested deeper than {_MAX_DEPTH} levels"
_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, check_circular=False).encode


class _Decoder:
    """Python's decoder that notes what JSON does not allow, so that the value's end is still found."""

    def __init__(self) -> None:
        self._fault: tuple[str, str] | None = None
        self._json = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_float=self._float
        )

    def decode(self, text: str, at: int) -> tuple[Any, int, tuple[str, str] | None]:
        """The value at `at`, where it ends, and (rule, detail) of its first fault.

        Raises:
            ValueError: it is not JSON.
            RecursionError: it is nested too deeply.
        """
        self._fault = None
        value, end = self._json.raw_decode(text, at)
        return value, end, self._fault

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            counts = Counter(name for name, _ in pairs)
            doubled = sorted(name for name, count in counts.items() if count > 1)
            self._fault = ("duplicate_key", f"keys that occur twice: {', '.join(doubled)}")
        return made

    def _constant(self, name: str) -> None:
        self._fault = ("not_json_number", f"{name}, which JSON does not have")

    def _float(self, digits: str) -> float:
        number = float(digits)
        if number in (float("inf"), float("-inf")):
            self._fault = ("not_json_number", f"{digits[:40]} is too large a number")
        return number


def lines(content: bytes, *, max_characters: int) -> Iterator[Record]:
    """Records of JSON lines; `content` is UTF-8 without a mark, `max_characters` those of a record."""
    decoder = _Decoder()
    position = 0
    for line in BytesIO(content):
        if not line.strip():
            continue
        yield line_record(line.rstrip(b"\n").decode("utf-8", "surrogateescape"), position, decoder, max_characters)
        position += 1


def line_record(text: str, position: int, decoder: _Decoder, max_characters: int) -> Record:
    """The record that is the whole of `text`."""
    if len(text) > max_characters:
        return refused(position, text, "record_too_large", f"{len(text):,} characters")
    try:
        value, end, fault = decoder.decode(text, _skip(text, 0))
        if (rest := _skip(text, end)) < len(text):
            return refused(position, text, "bad_json", f"text after the value, from character {rest}")
        return _checked(position, value, text, fault)
    except RecursionError:
        return refused(position, text, "bad_json", _TOO_DEEP)
    except ValueError as error:
        return refused(position, text, "bad_json", str(error))


def line_decoder() -> _Decoder:
    """A decoder for `line_record`, to be used for many lines."""
    return _Decoder()


def array(content: bytes, *, max_characters: int) -> Iterator[Record]:
    """Records of one JSON array; arguments as `lines`."""
    text = content.decode("utf-8", "surrogateescape")
    decoder = _Decoder()
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        yield file_fault("not_an_array", f"the file begins with {text[at : at + 1]!r}")
        return
    at = _skip(text, at + 1)
    position = 0
    while text[at : at + 1] != "]":
        try:
            record, end = _element(text, at, position, decoder, max_characters)
        except ValueError as error:
            yield file_fault("truncated_file", f"record {position} can't be read: {error}")
            return
        yield record
        position += 1
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            what = repr(text[at]) if text[at:] else "the end of the file"
            yield file_fault("truncated_file", f"{what} after record {position - 1}")
            return
    if (rest := _skip(text, at + 1)) < len(text):
        yield file_fault("truncated_file", f"text after the array, from character {rest}")
    elif position == 0:
        yield file_fault("empty_file", "the array holds no record")


def _element(text: str, at: int, position: int, decoder: _Decoder, max_characters: int) -> tuple[Record, int]:
    """One record of an array, and where it ends."""
    try:
        value, end, fault = decoder.decode(text, at)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        # Well formed, but more than Python reads: the records behind it are still to be had.
        end = _end_of_value(text, at)
        detail = _TOO_DEEP if isinstance(error, RecursionError) else str(error)
        return refused(position, text[at : at + max_characters], "bad_json", detail), end
    if end - at > max_characters:
        return refused(position, text[at : at + max_characters], "record_too_large", f"{end - at:,} characters"), end
    try:
        return _checked(position, value, text[at:end], fault), end
    except RecursionError:
        return refused(position, text[at:end], "bad_json", _TOO_DEEP), end


def _checked(position: int, value: Any, text: str, fault: tuple[str, str] | None) -> Record:
    if not isinstance(value, dict):
        return refused(position, text, "wrong_type", f"a {type(value).__name__}, expected an object")
    if fault is not None:
        return refused(position, text, *fault)
    raw = _canonical(value)
    if raw.count("[") + raw.count("{") > _MAX_DEPTH and _depth(raw) > _MAX_DEPTH:
        return refused(position, text, "bad_json", _TOO_DEEP)
    return Record(position, value, raw) if _is_unicode(raw) else not_unicode(position, text)


def canonical_record(position: int, fields: dict[str, Any]) -> Record:
    """A record of fields that are texts or come from such a record."""
    raw = _canonical(fields)
    return Record(position, fields, raw) if _is_unicode(raw) else not_unicode(position, raw)


def not_unicode(position: int, text: str) -> Record:
    """A record with bytes or escapes that are no characters."""
    return refused(position, text, "not_utf8", "bytes that are not UTF-8, or half of a surrogate pair")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        deepest = max(deepest, depth)
    return deepest


def _end_of_value(text: str, at: int) -> int:
    """Where the value at `at` ends, found by its brackets.

    Raises:
        ValueError: it does not end.
    """
    depth = 0
    for match in _TOKEN.finditer(text, at):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth <= 0:
            # A bare number or word ends before the bracket or string that was found.
            return match.end() if text[at] in '[{"' else at + len(re.split(r"[,\]\s]", text[at : match.end()])[0])
    raise ValueError("it does not end")


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
