"""What the duplicates benchmark calls found and right, and that its data holds what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import concurrent_writers, quality
from bench.rows import make_rows

TEXT = "the quick brown fox jumps over the lazy dog and runs home to sleep"


def test_similarity_is_that_of_the_sets_of_word_trigrams() -> None:
    texts = ["a b c d", "A b, c e", "x y", "p q"]
    assert quality.similarities(texts, [(0, 1), (2, 3)]) == {(0, 1): 1 / 3, (2, 3): 1.0}


def test_recall_counts_near_pairs_in_one_cluster_and_precision_those_that_are_right() -> None:
    texts = [TEXT, TEXT + " now", "wholly other words are in this one", TEXT + " then"]
    good, bad = {0: "x", 1: "x", 3: "x"}, {0: "x", 1: "y", 2: "x", 3: "y"}
    found = quality.figures(texts, [(0, 1), (0, 3)], {"good": good, "bad": bad})
    assert (found["good"]["recall"], found["good"]["precision"], found["good"]["removed"]) == (1.0, 1.0, 2)
    assert (found["bad"]["recall"], found["bad"]["precision"]) == (pytest.approx(1 / 3, abs=1e-3), 0.5)


def test_a_large_cluster_is_sampled() -> None:
    assert 1_000 < len(quality.cluster_pairs(dict.fromkeys(range(400), 0))) < 1_300


@pytest.mark.shared_data
def test_rows_hold_their_planted_pairs() -> None:
    made = make_rows(300)
    assert len(made.table) == 300
    texts = [f"{row['instruction']} {row['output']}" for row in made.table.to_pylist()]
    alike = quality.similarities(texts, map(tuple, made.planted.tolist()))
    assert len(alike) == 36
    assert sum(similarity >= quality.NEAR for similarity in alike.values()) >= 15


@pytest.mark.slow
def test_writers_with_the_lock_lose_and_double_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--kinds", "same-rows", "--writers", "2", "--appends", "3", "--folder", str(tmp_path)]
    concurrent_writers.main([*arguments, "--results", str(tmp_path)])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == json.loads((tmp_path / "concurrent_writers.json").read_text())
    locked, unlocked = last["runs"]
    assert (locked["expected"], locked["found"], locked["lost"], locked["doubled"]) == (3, 3, 0, 0)
    assert unlocked["lock"] is False
