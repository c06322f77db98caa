"""Rows of a step → blocks without padding.

Best-fit decreasing (Johnson 1973; for language models Ding et al. 2024, "Fewer Truncations Improve Language
Modeling"): each row, the longest first, goes into the fullest block that has room for it. No row is cut.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence


def best_fit(lengths: Sequence[int], *, capacity: int) -> list[list[int]]:
    """Packs rows into blocks by best-fit decreasing.

    Args:
        lengths: tokens of each row.
        capacity: tokens that a block holds; a longer row gets a block of its own.

    Returns:
        Row numbers of each block, in the order in which the blocks were started. Deterministic.
    """
    blocks: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, block), sorted
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        index = bisect_left(room, (lengths[row], -1))
        if index == len(room):
            free, block = max(capacity - lengths[row], 0), len(blocks)
            blocks.append([])
        else:
            before, block = room.pop(index)
            free = before - lengths[row]
        blocks[block].append(row)
        insort(room, (free, block))
    return blocks


def balanced(lengths: Sequence[int], *, capacity: int, processes: int) -> list[list[int]]:
    """Packs rows so that each process gets the same number of blocks.

    Until the number of blocks is a multiple of `processes`, the fullest block of several rows is split.
    Blocks are sorted by size, so that the processes of a step have similar work.

    Args:
        lengths: tokens of each row; at least as many rows as processes.
        capacity: tokens that a block holds; a longer row gets a block of its own.
        processes: how many there are.

    Returns:
        Row numbers of each block; process `rank` takes `blocks[rank::processes]`.
    """
    blocks = best_fit(lengths, capacity=capacity)
    for _ in range(-len(blocks) % processes):
        fullest = max(range(len(blocks)), key=lambda at: _tokens(blocks[at], lengths) * (len(blocks[at]) > 1))
        block = blocks[fullest]
        blocks[fullest] = block[::2]
        blocks.append(block[1::2])
    return sorted(blocks, key=lambda block: -_tokens(block, lengths))


def _tokens(block: Sequence[int], lengths: Sequence[int]) -> int:
    return sum(lengths[row] for row in block)
