"""Rows of a step → blocks without padding.

Best-fit decreasing (Johnson 1973; for language models Ding et al. 2024, "Fewer Truncations Improve Language
Modeling"): each row, the longest first, goes into the fullest block that has room for it. No row is cut.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence


def best_fit(lengths: Sequence[int], *, capacity: int) -> list[list[int]]:
    """Packs rows into as few blocks as best fit finds.

    Args:
        lengths: tokens of each row.
        capacity: tokens that a block holds; a longer row gets a block of its own.

    Returns:
        Row numbers of each block, in the order in which the blocks were begun. Equal input, equal blocks.
    """
    blocks: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, block), sorted
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        place = bisect_left(room, (lengths[row], -1))
        if place == len(room):
            free, block = max(capacity - lengths[row], 0), len(blocks)
            blocks.append([])
        else:
            before, block = room.pop(place)
            free = before - lengths[row]
        blocks[block].append(row)
        insort(room, (free, block))
    return blocks


def balanced(lengths: Sequence[int], *, capacity: int, processes: int) -> list[list[int]]:
    """Packs rows so that each process gets the same number of blocks.

    Where best fit gives another number, the fullest block of several rows is parted until it is a multiple.
    Like blocks stand side by side, so that no process waits long for another.

    Args:
        lengths: tokens of each row; at least as many rows as processes.
        capacity: tokens that a block holds; a longer row gets a block of its own.
        processes: how many there are.

    Returns:
        Row numbers of each block; process `rank` takes `blocks[rank::processes]`.
    """
    blocks = best_fit(lengths, capacity=capacity)
    for _ in range(-len(blocks) % processes):
        place = max(range(len(blocks)), key=lambda at: _tokens(blocks[at], lengths) * (len(blocks[at]) > 1))
        block = blocks[place]
        blocks[place] = block[::2]
        blocks.append(block[1::2])
    return sorted(blocks, key=lambda block: -_tokens(block, lengths))


def _tokens(block: Sequence[int], lengths: Sequence[int]) -> int:
    return sum(lengths[row] for row in block)
