"""Tokens: made on the executors by the one prompt; over-long rows are cut or rejected, never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dolly.base_model import load_tokenizer
from dolly.prepare.tokens import fit, with_tokens
from dolly.prompts import Encoded, Prompt


def turns(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


@pytest.mark.spark
def test_executors_encode_as_the_prompt_does(spark: Any, tiny_base: Path) -> None:
    rows = [(str(i), turns(f"question {i} <|im_end|>", "answer " * i)) for i in range(1, 6)]
    frame = spark.createDataFrame(rows, "id string, turns array<struct<role: string, content: string>>")
    made = with_tokens(
        frame, tokenizer=str(tiny_base), prompt=Prompt(), max_tokens=200, over_length="truncate"
    ).collect()
    tokenizer = load_tokenizer(str(tiny_base))
    Prompt().prepare_tokenizer(tokenizer)
    assert len(made) == len(rows)
    for row in made:
        expected = Prompt().encode(tokenizer, dict(rows)[row["id"]])
        assert row["input_ids"] == expected.input_ids
        assert row["loss_mask"] == expected.loss_mask
        assert row["tokens"] == len(expected.input_ids)
        assert row["rule"] is None


ROW = Encoded([5, 6, 7, 8], [False, False, True, True])


@pytest.mark.parametrize(
    ("max_tokens", "over_length", "kept", "rule"),
    [
        (4, "reject", 4, None),
        (3, "truncate", 3, None),
        (2, "truncate", 2, "prompt_too_long"),
        (3, "reject", 4, "too_many_tokens"),
    ],
)
def test_over_long_rows(max_tokens: int, over_length: str, kept: int, rule: str | None) -> None:
    encoded, found = fit(ROW, max_tokens=max_tokens, over_length=over_length)
    assert (len(encoded.input_ids), len(encoded.loss_mask)) == (kept, kept)
    assert found == rule
