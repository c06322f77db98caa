"""Near duplicates: pairs are exact, clusters the same whatever the partitioning, short rows safe."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dolly.clean.annotate import with_annotations
from dolly.clean.duplicates import candidate_pairs, clusters, jaccard, near_pairs
from dolly.clean.shingles import ngrams, words
from dolly.clean.stored_pairs import stored_contents
from dolly.clean.verdicts import cluster_members, verdicts

WORDS = ["".join(letters) for letters in itertools.product("bdfklmnprst", "aeiou", "bdfgklmnprst")]
KNOWN = frozenset(WORDS)
ROW = (
    "example_id string, source string, visibility string, position bigint, context string, "
    "turns array<struct<role: string, content: string>>, wordings string, variant string, "
    "fixes array<string>, flags array<string>"
)


def text(seed: int, length: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def with_word(sentence: str, place: int, word: str) -> str:
    parts = sentence.split()
    parts[place] = word
    return " ".join(parts)


def good(spark: Any, rows: list[tuple[str, str]], *, partitions: int = 1, **columns: list[Any]) -> Any:
    """Checked rows from (question, answer); `columns` replace defaults, one value a row."""
    made = []
    for number, (question, answer) in enumerate(rows):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        default = {"source": "s", "visibility": "public", "wordings": None, "variant": "", "fixes": []}
        own = {name: columns[name][number] if name in columns else value for name, value in default.items()}
        row = (f"r{number}", own["source"], own["visibility"], number, "", turns, own["wordings"], own["variant"])
        made.append((*row, own["fixes"], []))
    frame = spark.createDataFrame(made, ROW).repartition(partitions)
    frame = with_annotations(frame, privacy=None, languages=False, benchmarks=None)
    return frame.selectExpr("*", "hash(example_id) + 0L AS input_hash", "length(turns[1].content) AS answer_length")


def pairs_of(frame: Any, *, threshold: float = 0.8, fresh: Any = None) -> Any:
    live = frame.where("size(bands) > 0").select("content_key", "bands")
    return near_pairs(candidate_pairs(live, fresh=fresh), frame, threshold=threshold)


QUESTION, ANSWER = text(1, 20), text(2, 60)
LONG = text(9, 200)
NAMES = ["the Gold card", "the Silver card", "the gold Card", "item 7 there", "item 8 there"]
BEST = [(QUESTION, ANSWER), (QUESTION, f"{ANSWER} more"), (QUESTION, with_word(ANSWER, 9, "x")), (QUESTION, ANSWER)]


@dataclass(frozen=True)
class Case:
    """Rows of one situation, the columns that differ from the default, and what becomes of each row."""

    rows: list[tuple[str, str]]
    fates: list[str]
    columns: dict[str, list[Any]] = field(default_factory=dict)


CASES = {
    "the same instruction and answer are merged and conflicts are flagged": Case(
        [
            (QUESTION, ANSWER),
            (QUESTION.upper(), ANSWER.upper()),  # the same but for case and space
            (QUESTION, with_word(ANSWER, 30, "bo")),  # nearly the same
            (QUESTION, text(3, 60)),  # the same question, another answer
            (text(4, 20), ANSWER),  # another question, the same answer
            ("Short one?", "Yes."),
            ("Short one!", "Yes."),  # short: only equal texts are merged
        ],
        ["conflict", "exact_duplicate", "near_duplicate", "conflict", "", "", ""],
    ),
    "a long context in common does not merge other tasks": Case(
        [
            (f"Is this review positive or negative? {LONG}", "positive"),
            (f"Is this review positive or negative? {LONG}", "negative"),
            (f"Summarise item 7 of this. {LONG}", "positive"),
            (f"Summarise item 8 of this. {LONG}", "positive"),
        ],
        ["conflict", "conflict", "", ""],
    ),
    "questions about other names or numbers are other questions": Case(
        [(f"{QUESTION} what of {name} {text(3, 5)}?", ANSWER) for name in NAMES],
        ["", "", "exact_duplicate", "", ""],
    ),
    "wordings that a source groups are kept": Case(
        [(QUESTION, ANSWER), (with_word(QUESTION, 5, "other"), ANSWER)],
        ["", ""],
        {"wordings": ["g", "g"], "variant": ["1", "2"]},
    ),
    "wordings of two groups are merged": Case(
        [(QUESTION, ANSWER), (with_word(QUESTION, 5, "other"), ANSWER)],
        ["", "near_duplicate"],
        {"wordings": ["g", "h"]},
    ),
    "the longest answer represents its cluster": Case(BEST, ["near_duplicate", "", "near_duplicate", "near_duplicate"]),
    "a private row comes before a longer one": Case(
        BEST,
        ["near_duplicate", "near_duplicate", "", "near_duplicate"],
        {"visibility": ["public", "public", "private", "public"]},
    ),
    "a row without fixes comes first": Case(
        BEST, ["", "near_duplicate", "near_duplicate", "exact_duplicate"], {"fixes": [[], ["a"], [], []]}
    ),
}


@pytest.fixture(scope="module")
def fates(spark: Any) -> dict[str, list[str]]:
    """For each case, what becomes of its rows: the rule that merged it, `conflict`, or nothing; one job for all.

    Each case has words of its own, so that no row is compared with another case's.
    """
    rows, columns = [], {name: [] for name in ("wordings", "variant", "visibility", "fixes")}
    default = {"wordings": None, "variant": "", "visibility": "public", "fixes": []}
    for number, case in enumerate(CASES.values()):
        rows += [(in_words_of(number, question), in_words_of(number, answer)) for question, answer in case.rows]
        for name, values in columns.items():
            values += case.columns.get(name, [default[name]] * len(case.rows))
    frame = good(spark, rows, **columns).persist()
    found = verdicts(frame, cluster_members(frame, pairs_of(frame), sources=["s", "t"])).join(frame, "input_hash")
    told = {row["example_id"]: row["duplicate"] or ("conflict" if row["conflict"] else "") for row in found.collect()}
    frame.unpersist()
    remaining = iter(told.get(f"r{number}", "") for number in range(len(rows)))
    return {name: list(itertools.islice(remaining, len(case.rows))) for name, case in CASES.items()}


def in_words_of(number: int, sentence: str) -> str:
    """The same text in other words: a letter put before each word that the random texts are made of."""
    return " ".join(f"{'aeioucgh'[number]}{word}" if word.lower() in KNOWN else word for word in sentence.split())


@pytest.mark.spark
@pytest.mark.parametrize("name", CASES)
def test_what_becomes_of_rows_that_look_alike(fates: dict[str, list[str]], name: str) -> None:
    assert fates[name] == CASES[name].fates


def test_jaccard_counts_each_item_once() -> None:
    def column(*texts: str) -> tuple[np.ndarray, np.ndarray]:
        found = words(pa.array(texts))
        return found.hashes, found.offsets

    made = jaccard(column("a b c", "a a b", "", "a", ""), column("b c d", "a b b", "", "", "x"))
    assert made.tolist() == [0.5, 1.0, 1.0, 0.0, 0.0]


@pytest.mark.spark
def test_pairs_are_those_of_an_exact_comparison(spark: Any) -> None:
    source = random.Random(5)
    rows = []
    for number in range(60):
        question, answer = text(number, 15), text(1000 + number, 50)
        rows.append((question, answer))
        for _ in range(source.randrange(3)):
            answer = with_word(answer, source.randrange(50), source.choice(WORDS) + "v")
            rows.append((question, answer))
    frame = good(spark, rows, partitions=3).persist()
    keys = {row["example_id"]: row["content_key"] for row in frame.collect()}
    grams = ngrams(words(pa.array([f"{question}\n{answer}" for question, answer in rows])), 3)
    sets = [set(grams.hashes[a:b].tolist()) for a, b in zip(grams.offsets, grams.offsets[1:], strict=False)]
    true = {
        tuple(sorted((keys[f"r{i}"], keys[f"r{j}"])))
        for i in range(len(rows))
        for j in range(i)
        if len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= 0.8
    }
    found = {(row["a"], row["b"]) for row in pairs_of(frame).collect()}
    assert found <= true
    assert len(found) >= 0.97 * len(true) > 30


@pytest.mark.spark
def test_new_rows_are_compared_with_all_and_old_ones_not_again(spark: Any) -> None:
    one, two = text(1), text(2)
    rows = [(one, text(11)), (with_word(one, 3, "y"), text(11)), (two, text(12)), (with_word(two, 3, "y"), text(12))]
    frame = good(spark, rows).persist()
    fresh = frame.where("example_id = 'r3'")
    found = pairs_of(frame, fresh=fresh).collect()
    keys = {row["example_id"]: row["content_key"] for row in frame.collect()}
    assert [{row["a"], row["b"]} for row in found] == [{keys["r2"], keys["r3"]}]


@pytest.mark.spark
def test_another_threshold_compares_all_contents_again(spark: Any) -> None:
    frame = good(spark, [(text(1), text(11)), (text(1), text(11)), (text(2), text(12))])
    keys = [{tuple(row) for row in stored_contents(frame, threshold=share).collect()} for share in (0.7, 0.7, 0.8)]
    assert keys[0] == keys[1]
    assert len(keys[0] | keys[2]) == 4


@pytest.mark.spark
def test_components_are_the_same_for_any_partitioning(spark: Any) -> None:
    chain = [(number, number + 1) for number in range(0, 50)] + [(200, 100), (100, 300), (-5, -9)]
    random.Random(1).shuffle(chain)
    frame = spark.createDataFrame(chain, "a bigint, b bigint")
    made = [
        {row["content_key"]: row["cluster"] for row in clusters(frame.repartition(count)).collect()} for count in (1, 4)
    ]
    assert made[0] == made[1]
    assert {made[0][number] for number in range(51)} == {0}
    assert (made[0][300], made[0][-5]) == (100, -9)
