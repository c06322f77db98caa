"""A conversation that is too long for a training sequence → several that fit, cut between rounds."""

from __future__ import annotations

from collections.abc import Callable

Turns = list[dict[str, str]]


def split_rounds(turns: Turns, *, max_tokens: int, count: Callable[[Turns], int]) -> list[Turns]:
    """Splits a conversation at turn borders; each part holds as many whole rounds as fit.

    A round is a user turn and all turns up to the next one. A system turn at the head is repeated in
    each part. A round that alone is too long becomes a separate part, which the caller cuts.

    `count` is called once for the conversation and, if that is too long, once per round: each token is
    counted twice, however many rounds a part holds. For this the counts must add up, as those of
    `Prompt.encode` do, which encodes each turn by itself: what a conversation costs is a constant
    (system turn, beginning of sequence) and a sum over its rounds.

    Args:
        turns: `role` and `content` of each turn.
        max_tokens: tokens that a part may have, its system turn included.
        count: tokens of a conversation.

    Returns:
        Conversations whose rounds, one after the other, are those of `turns`.
    """
    head = turns[:1] if turns and turns[0]["role"] == "system" else []
    rounds = _rounds(turns[len(head) :])
    if len(rounds) < 2 or (whole := count(turns)) <= max_tokens:
        return [turns] if turns else []
    alone = [count(head + one) for one in rounds]
    # Each of `alone` holds the constant once, and so does `whole`. Rounded down, so that estimates err upwards.
    constant = (sum(alone) - whole) // (len(rounds) - 1)
    parts, tokens = [head + rounds[0]], alone[0]
    for one, size in zip(rounds[1:], alone[1:], strict=True):
        if tokens + size - constant <= max_tokens:
            parts[-1] += one
            tokens += size - constant
        else:
            parts.append(head + one)
            tokens = size
    return parts


def _rounds(turns: Turns) -> list[Turns]:
    rounds: list[Turns] = []
    for turn in turns:
        if turn["role"] == "user" or not rounds:
            rounds.append([])
        rounds[-1].append(turn)
    return rounds
