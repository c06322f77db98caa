"""Near duplicates: pairs are exact, clusters the same whatever the partitioning, short rows safe."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dolly.clean.annotate import with_annotations
from dolly.clean.duplicates import candidate_pairs, clusters, jaccard, near_pairs
from dolly.clean.shingles import ngrams, words
from dolly.clean.verdicts import cluster_members, verdicts

WORDS = ["".join(letters) for letters in itertools.product("bdfklmnprst", "aeiou", "bdfgklmnprst")]
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


def fates(spark: Any, rows: list[tuple[str, str]], **columns: list[Any]) -> dict[str, str]:
    """Row → the rule that merged it, `conflict`, or nothing."""
    frame = good(spark, rows, **columns).persist()
    found = verdicts(frame, cluster_members(frame, pairs_of(frame), sources=["s", "t"])).join(frame, "input_hash")
    told = {row["example_id"]: row["duplicate"] or ("conflict" if row["conflict"] else "") for row in found.collect()}
    return {f"r{number}": told.get(f"r{number}", "") for number in range(len(rows))}


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


@pytest.mark.spark
def test_the_same_instruction_and_answer_are_merged_and_conflicts_are_flagged(spark: Any) -> None:
    question, answer = text(1, 20), text(2, 60)
    rows = [
        (question, answer),
        (question.upper(), answer.upper()),  # the same but for case and space
        (question, with_word(answer, 30, "bo")),  # nearly the same
        (question, text(3, 60)),  # the same question, another answer
        (text(4, 20), answer),  # another question, the same answer
        ("Short one?", "Yes."),
        ("Short one!", "Yes."),  # short: only equal texts are merged
    ]
    assert fates(spark, rows) == {
        "r0": "conflict",
        "r1": "exact_duplicate",
        "r2": "near_duplicate",
        "r3": "conflict",
        "r4": "",
        "r5": "",
        "r6": "",
    }


@pytest.mark.spark
def test_a_long_context_in_common_does_not_merge_other_tasks(spark: Any) -> None:
    context = text(9, 200)
    rows = [
        (f"Is this review positive or negative? {context}", "positive"),
        (f"Is this review positive or negative? {context}", "negative"),
        (f"Summarise item 7 of this. {context}", "positive"),
        (f"Summarise item 8 of this. {context}", "positive"),
    ]
    assert fates(spark, rows) == {"r0": "conflict", "r1": "conflict", "r2": "", "r3": ""}


@pytest.mark.spark
def test_questions_about_other_names_or_numbers_are_other_questions(spark: Any) -> None:
    about, answer = text(1, 20), text(2, 60)
    names = ["the Gold card", "the Silver card", "the gold Card", "item 7 there", "item 8 there"]
    rows = [(f"{about} what of {name} {text(3, 5)}?", answer) for name in names]
    assert fates(spark, rows) == {"r0": "", "r1": "", "r2": "exact_duplicate", "r3": "", "r4": ""}


@pytest.mark.spark
def test_wordings_that_a_source_groups_are_kept(spark: Any) -> None:
    question, answer = text(1, 20), text(2, 60)
    rows = [(question, answer), (with_word(question, 5, "other"), answer)]
    assert fates(spark, rows, wordings=["g", "g"], variant=["1", "2"]) == {"r0": "", "r1": ""}
    assert fates(spark, rows, wordings=["g", "h"]) == {"r0": "", "r1": "near_duplicate"}


@pytest.mark.spark
def test_the_best_row_represents_its_cluster(spark: Any) -> None:
    question, answer = text(1, 20), text(2, 60)
    rows = [(question, answer), (question, f"{answer} more"), (question, with_word(answer, 9, "x")), (question, answer)]
    assert fates(spark, rows)["r1"] == ""  # the longest answer
    private = fates(spark, rows, visibility=["public", "public", "private", "public"])
    assert private["r2"] == ""
    fixed = fates(spark, rows, fixes=[[], ["a"], [], []])
    assert [name for name, fate in fixed.items() if not fate] == ["r0"]
