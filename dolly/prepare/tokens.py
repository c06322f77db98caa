"""Conversations → token ids and loss mask, on the executors, with `dolly.prompts`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from dolly.prepare.rounds import split_rounds
from dolly.prompts import Encoded, Message, Prompt

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

_ADDED = (
    "part int, part_turns array<struct<role: string, content: string>>, input_ids array<int>, "
    "loss_mask array<boolean>, tokens int, rule string, detail string"
)
OverLength = Literal["truncate", "split", "reject"]


def with_tokens(
    frame: DataFrame,
    *,
    tokenizer: str,
    prompt: Prompt,
    max_tokens: int,
    over_length: OverLength,
) -> DataFrame:
    """Adds `input_ids`, `loss_mask`, `tokens` (before truncation), and `rule`/`detail` for a bad row.

    Args:
        frame: rows with `turns`.
        tokenizer: folder of the tokenizer.
        prompt: how a conversation is rendered.
        max_tokens: ids kept per row.
        over_length: what becomes of a longer row. With `split` a conversation becomes several rows,
            numbered by `part`, each with its own `turns`; a single round that is too long loses its end.
    """
    columns = frame.columns
    schema = ", ".join(f"`{f.name}` {f.dataType.simpleString()}" for f in frame.schema.fields)
    encode = _encoder(tokenizer=tokenizer, prompt=prompt, max_tokens=max_tokens, over_length=over_length)
    made = frame.mapInArrow(encode, f"{schema}, {_ADDED}").drop("turns").withColumnRenamed("part_turns", "turns")
    return made.select(*columns, "part", "input_ids", "loss_mask", "tokens", "rule", "detail")


def fit(encoded: Encoded, *, max_tokens: int, over_length: str) -> tuple[Encoded, str | None]:
    """Cuts a conversation to `max_tokens`, or names the rule that rejects it."""
    if len(encoded.input_ids) <= max_tokens:
        return encoded, None
    if over_length == "reject":
        return encoded, "too_many_tokens"
    cut = Encoded(encoded.input_ids[:max_tokens], encoded.loss_mask[:max_tokens])
    return cut, None if any(cut.loss_mask) else "prompt_too_long"


def _encoder(
    *, tokenizer: str, prompt: Prompt, max_tokens: int, over_length: OverLength
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        from dolly.base_model import load_tokenizer

        loaded = load_tokenizer(tokenizer)
        prompt.prepare_tokenizer(loaded)

        def length(turns: list[Message]) -> int:
            return len(prompt.encode(loaded, turns).input_ids)

        for batch in batches:
            made: list[tuple[Any, ...]] = []
            for row, turns in enumerate(batch.column("turns").to_pylist()):
                parts = split_rounds(turns, max_tokens=max_tokens, count=length) if over_length == "split" else [turns]
                for part, some in enumerate(parts):
                    whole = prompt.encode(loaded, some)
                    kept, rule = fit(whole, max_tokens=max_tokens, over_length=over_length)
                    count = len(whole.input_ids)
                    detail = f"{count} tokens, limit {max_tokens}" if rule else None
                    made.append((row, part, some, kept.input_ids, kept.loss_mask, count, rule, detail))
            columns = list(zip(*made, strict=True)) if made else [()] * 8
            taken = batch.take(pa.array(columns[0], pa.int32()))
            arrays = [pa.array(values, kind) for values, kind in zip(columns[1:], _added_types(), strict=True)]
            names = ["part", "part_turns", "input_ids", "loss_mask", "tokens", "rule", "detail"]
            yield pa.RecordBatch.from_arrays([*taken.columns, *arrays], [*batch.schema.names, *names])

    return encode


def _added_types() -> list[Any]:
    import pyarrow as pa

    turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    numbers = [pa.list_(pa.int32()), pa.list_(pa.bool_()), pa.int32()]
    return [pa.int32(), turns, *numbers, pa.string(), pa.string()]


def tokenizer_hash(tokenizer: str, prompt: Prompt) -> str:
    """SHA-256 of the tokenizer with the prompt's markers added."""
    from dolly.base_model import load_tokenizer
    from dolly.prompts import tokenizer_sha256

    loaded = load_tokenizer(tokenizer)
    prompt.prepare_tokenizer(loaded)
    return tokenizer_sha256(loaded)
