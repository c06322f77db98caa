"""Long conversations: cut between rounds, every round in just one part, few counts."""

from __future__ import annotations

import copy
import itertools
import random

import pytest

from dolly.prepare.rounds import split_rounds
from dolly.prompts import Format, Prompt

Turns = list[dict[str, str]]
SYSTEM = {"role": "system", "content": "Answer briefly."}


def conversation(*sizes: int, system: bool = False) -> Turns:
    turns = [dict(SYSTEM)] if system else []
    for number, size in enumerate(sizes):
        turns.append({"role": "user", "content": f"question {number}"})
        turns.append({"role": "assistant", "content": " ".join(["word"] * size)})
    return turns


def words(turns: Turns) -> int:
    return sum(len(turn["content"].split()) for turn in turns)


def rounds(parts: list[Turns]) -> Turns:
    return [turn for part in parts for turn in part if turn["role"] != "system"]


def test_a_conversation_that_fits_stays_whole() -> None:
    turns = conversation(3, 3, system=True)
    assert split_rounds(turns, max_tokens=words(turns), count=words) == [turns]


def test_parts_are_as_long_as_fits() -> None:
    turns = conversation(3, 3, 3, 8, 1)  # 5, 5, 5, 10 and 3 words
    parts = split_rounds(turns, max_tokens=10, count=words)
    assert [words(part) for part in parts] == [10, 5, 10, 3]
    assert rounds(parts) == turns


def test_the_system_turn_heads_each_part_and_counts() -> None:
    turns = conversation(3, 3, 3, system=True)
    parts = split_rounds(turns, max_tokens=12, count=words)
    assert [part[0] for part in parts] == [SYSTEM, SYSTEM]
    assert [words(part) for part in parts] == [12, 7]
    assert rounds(parts) == turns[1:]


def test_a_round_that_is_too_long_is_alone() -> None:
    turns = conversation(1, 50, 1, 1)
    parts = split_rounds(turns, max_tokens=6, count=words)
    assert [words(part) for part in parts] == [3, 52, 6]
    assert rounds(parts) == turns


@pytest.mark.parametrize("turns", [[], [SYSTEM], conversation(99), conversation(99, system=True)])
def test_what_has_no_border_is_not_split_nor_lost(turns: Turns) -> None:
    assert split_rounds(turns, max_tokens=5, count=words) == ([turns] if turns else [])


def test_turns_without_a_partner_are_not_lost() -> None:
    turns = [{"role": "assistant", "content": "hello there"}, *conversation(5, 5), {"role": "user", "content": "bye"}]
    parts = split_rounds(turns, max_tokens=8, count=words)
    assert rounds(parts) == turns
    assert len(parts) == 3


def test_counts_are_few_and_the_input_stays_as_it_is() -> None:
    turns = conversation(*[5] * 200, system=True)
    before, calls, counted = copy.deepcopy(turns), 0, 0

    def count(part: Turns) -> int:
        nonlocal calls, counted
        calls, counted = calls + 1, counted + len(part)
        return words(part)

    parts = split_rounds(turns, max_tokens=500, count=count)
    assert rounds(parts) == turns[1:]
    assert turns == before
    assert calls == 201
    assert counted < 3 * len(turns)


class Words:
    """A tokenizer that begins each sequence with a token of its own, and whose tokens are words."""

    bos_token_id, eos_token = 1, "</s>"

    def encode(self, text: str, *, add_special_tokens: bool = True, split_special_tokens: bool = False) -> list[int]:
        return [1] * add_special_tokens + [len(word) for word in text.split()]

    def convert_tokens_to_ids(self, token: str) -> int:
        return 2


@pytest.mark.parametrize("format_", ["chatml", "dolly"])
@pytest.mark.parametrize("system", [None, "Be kind."])
@pytest.mark.parametrize("own_system", [False, True])
def test_real_prompts_fill_the_parts_and_never_overflow(format_: Format, system: str, own_system: bool) -> None:
    draw = random.Random(7)

    def count(part: Turns) -> int:
        return len(Prompt(format_, system).encode(Words(), part).input_ids)

    turns = conversation(*[draw.randrange(1, 40) for _ in range(40)], system=own_system)
    parts = split_rounds(turns, max_tokens=200, count=count)
    assert rounds(parts) == turns[own_system:]
    for part, following in itertools.pairwise(parts):
        first = following[own_system : own_system + 2]
        assert count(part) <= 200 < count(part + first)
    assert count(parts[-1]) <= 200
