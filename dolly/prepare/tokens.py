"""Conversations → token ids and loss mask, on the executors, by the one prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from dolly.prompts import Encoded, Prompt

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

_ADDED = "input_ids array<int>, loss_mask array<boolean>, tokens int, rule string, detail string"


def with_tokens(
    frame: DataFrame,
    *,
    tokenizer: str,
    prompt: Prompt,
    max_tokens: int,
    over_length: Literal["truncate", "reject"],
) -> DataFrame:
    """Adds `input_ids`, `loss_mask`, `tokens` (before truncation), and `rule`/`detail` for a bad row.

    Args:
        frame: rows with `turns`.
        tokenizer: where the tokenizer lies.
        prompt: how a conversation is rendered.
        max_tokens: ids kept per row; over-long rows lose their end or are rejected.
        over_length: which of the two.
    """
    schema = ", ".join(f"`{f.name}` {f.dataType.simpleString()}" for f in frame.schema.fields)
    encode = _encoder(tokenizer=tokenizer, prompt=prompt, max_tokens=max_tokens, over_length=over_length)
    return frame.mapInArrow(encode, f"{schema}, {_ADDED}")


def fit(encoded: Encoded, *, max_tokens: int, over_length: str) -> tuple[Encoded, str | None]:
    """Cuts a conversation to `max_tokens`, or names the rule that rejects it."""
    if len(encoded.input_ids) <= max_tokens:
        return encoded, None
    if over_length == "reject":
        return encoded, "too_many_tokens"
    cut = Encoded(encoded.input_ids[:max_tokens], encoded.loss_mask[:max_tokens])
    return cut, None if any(cut.loss_mask) else "prompt_too_long"


def _encoder(
    *, tokenizer: str, prompt: Prompt, max_tokens: int, over_length: str
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        from dolly.base_model import load_tokenizer

        loaded = load_tokenizer(tokenizer)
        prompt.prepare_tokenizer(loaded)
        for batch in batches:
            added: dict[str, list[Any]] = {name: [] for name in ("ids", "mask", "tokens", "rule", "detail")}
            for turns in batch.column("turns").to_pylist():
                whole = prompt.encode(loaded, turns)
                kept, rule = fit(whole, max_tokens=max_tokens, over_length=over_length)
                count = len(whole.input_ids)
                added["ids"].append(kept.input_ids)
                added["mask"].append(kept.loss_mask)
                added["tokens"].append(count)
                added["rule"].append(rule)
                added["detail"].append(f"{count} tokens, limit {max_tokens}" if rule else None)
            columns = [
                pa.array(added["ids"], pa.list_(pa.int32())),
                pa.array(added["mask"], pa.list_(pa.bool_())),
                pa.array(added["tokens"], pa.int32()),
                pa.array(added["rule"], pa.string()),
                pa.array(added["detail"], pa.string()),
            ]
            names = ["input_ids", "loss_mask", "tokens", "rule", "detail"]
            yield pa.RecordBatch.from_arrays([*batch.columns, *columns], [*batch.schema.names, *names])

    return encode


def identity(tokenizer: str, prompt: Prompt) -> str:
    """Identity of the tokenizer once the prompt's markers are in it."""
    from dolly.base_model import load_tokenizer
    from dolly.prompts import tokenizer_sha256

    loaded = load_tokenizer(tokenizer)
    prompt.prepare_tokenizer(loaded)
    return tokenizer_sha256(loaded)
