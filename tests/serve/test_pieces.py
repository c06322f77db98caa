"""Pieces of text: together the whole answer, never half a character, never a stop string."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.serve.pieces import Pieces

TEXTS = [
    "Gate 4 is open.",
    "Grüße 你好 🚪🇩🇪 ok",
    "  led by spaces",
    "ends in lines\n\n",
    "a  b\tc\n d",
    "é",
    "\ufffd odd",
    "",
]


def pieces_of(tokenizer: Any, text: str, stop: list[str] | None = None) -> tuple[list[str], Pieces]:
    pieces = Pieces(tokenizer, stop or ())
    made = []
    for token in tokenizer.encode(text, add_special_tokens=False):
        made.append(pieces.add(token))
        if pieces.stopped:
            return made, pieces
    return [*made, pieces.end()], pieces


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_the_whole_answer(tiny_tokenizer: Any, text: str) -> None:
    made, pieces = pieces_of(tiny_tokenizer, text)
    assert "".join(made) == text.strip()
    assert not pieces.stopped
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in made)


def test_a_piece_comes_with_its_token(tiny_tokenizer: Any) -> None:
    made, _ = pieces_of(tiny_tokenizer, "Gate 4 is open.")
    assert sum(bool(piece) for piece in made) > 3


@pytest.mark.parametrize(
    ("text", "stop", "left"),
    [
        ("Gate 4 is open. Go.", ["open"], "Gate 4 is"),
        ("one two three", ["three", "two"], "one"),
        ("one two three", ["two thr", "four"], "one"),
        ("aaab", ["aab"], "a"),
        ("first\n\nsecond", ["\n\n"], "first"),
        ("Grüße 你好", ["你"], "Grüße"),
        ("Gate 4", ["Gate"], ""),
        ("Gate 4", ["Gate 5", ""], "Gate 4"),
        ("Gate 4 ok", ["ok", "okay"], "Gate 4"),
    ],
)
def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(
    tiny_tokenizer: Any, text: str, stop: list[str], left: str
) -> None:
    made, pieces = pieces_of(tiny_tokenizer, text, stop)
    assert "".join(made) == left
    assert pieces.stopped == any(s and s in text for s in stop)


def test_special_tokens_are_no_text(tiny_tokenizer: Any) -> None:
    pieces = Pieces(tiny_tokenizer)
    ids = [*tiny_tokenizer.encode("Gate"), 1, 2, *tiny_tokenizer.encode(" 4")]
    assert "".join([pieces.add(token) for token in ids]) + pieces.end() == "Gate 4"
