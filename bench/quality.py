"""How many of the true near duplicates a tool found, and how many of those that it found are true.

True is what the sets of word trigrams say, compared exactly and by other code than any tool's:
near duplicates have a Jaccard similarity of at least 0.8, different texts one of at most 0.5.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Mapping, Sequence

Pair = tuple[int, int]

NEAR, DIFFERENT = 0.8, 0.5
SHINGLE_WORDS = 3
# Of a cluster with more rows this many of its pairs are looked at, as many as in one of 50 rows.
_LARGE = 50
_SAMPLE = _LARGE * (_LARGE - 1) // 2
_WORD = re.compile(r"\w+")


def figures(
    texts: Sequence[str], planted: Iterable[Pair], clusters: Mapping[str, Mapping[int, object]]
) -> dict[str, dict[str, float | int]]:
    """Recall and precision of each tool.

    Args:
        texts: of all rows.
        planted: pairs of rows that may be near duplicates.
        clusters: for each tool the cluster of each row number; a row that is not there is alone.
    """
    found = {tool: cluster_pairs(of_row) for tool, of_row in clusters.items()}
    pairs = {(min(pair), max(pair)) for pair in itertools.chain(planted, *found.values())}
    alike = similarities(texts, pairs)
    near = [pair for pair, similarity in alike.items() if similarity >= NEAR]
    result: dict[str, dict[str, float | int]] = {}
    for tool, of_row in clusters.items():
        together = sum(one in of_row and of_row[one] == of_row.get(two) for one, two in near)
        right = sum(alike[pair] >= NEAR for pair in found[tool])
        wrong = sum(alike[pair] <= DIFFERENT for pair in found[tool])
        result[tool] = {
            "near_pairs": len(near),
            "recall": round(together / max(len(near), 1), 4),
            "precision": round(right / max(right + wrong, 1), 4),
            "pairs_in_clusters": len(found[tool]),
            "largest_cluster": max(map(len, _groups(of_row)), default=1),
            "removed": sum(len(rows) - 1 for rows in _groups(of_row)),
        }
    return result


def cluster_pairs(of_row: Mapping[int, object]) -> set[Pair]:
    """All pairs of rows that share a cluster; a sample of them for a large cluster."""
    draw = random.Random(0)
    pairs: set[Pair] = set()
    for rows in _groups(of_row):
        if len(rows) <= _LARGE:
            pairs.update(itertools.combinations(rows, 2))
        else:
            drawn = (draw.sample(rows, 2) for _ in range(_SAMPLE))
            pairs.update((min(pair), max(pair)) for pair in drawn)
    return pairs


def similarities(texts: Sequence[str], pairs: Iterable[Pair]) -> dict[Pair, float]:
    """Jaccard similarity of the word trigrams of each pair of rows; 1 for two texts without any."""
    sets: dict[int, frozenset[tuple[str, ...]]] = {}

    def trigrams(row: int) -> frozenset[tuple[str, ...]]:
        if row not in sets:
            words = _WORD.findall(texts[row].lower())
            sets[row] = frozenset(zip(*(words[shift:] for shift in range(SHINGLE_WORDS)), strict=False))
        return sets[row]

    result = {}
    for one, two in pairs:
        either = trigrams(one) | trigrams(two)
        result[one, two] = len(trigrams(one) & trigrams(two)) / len(either) if either else 1.0
    return result


def _groups(of_row: Mapping[int, object]) -> list[list[int]]:
    """Sorted rows of each cluster of several."""
    groups: dict[object, list[int]] = {}
    for row in sorted(of_row):
        groups.setdefault(of_row[row], []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]
