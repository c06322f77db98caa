"""The detector on the labelled sample: what is found, what is missed, what is masked by mistake."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from dolly.clean.privacy.detector import Detector
from dolly.clean.privacy.pseudonyms import Pseudonyms, mask

FOLDER = Path(__file__).parent
ITEMS = [json.loads(line) for line in (FOLDER / "privacy_sample.jsonl").read_text(encoding="utf-8").splitlines()]
NAMES = tuple((FOLDER / "privacy_names.txt").read_text(encoding="utf-8").split("\n"))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(names=tuple(name for name in NAMES if name))


def test_the_sample_is_large_enough() -> None:
    assert sum(len(item["spans"]) for item in ITEMS) >= 300
    assert sum("negative" in item for item in ITEMS) >= 100


def test_recall_and_precision(detector: Detector) -> None:
    right: Counter[str] = Counter()
    labelled: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for item in ITEMS:
        wanted = {(span["start"], span["end"], span["kind"]) for span in item["spans"]}
        spans = {(span.start, span.end, span.kind) for span in detector.spans(item["text"])}
        labelled.update(kind for _, _, kind in wanted)
        found.update(kind for _, _, kind in spans)
        right.update(kind for _, _, kind in wanted & spans)
    recall, precision = right.total() / labelled.total(), right.total() / found.total()
    by_kind = {k: (round(right[k] / labelled[k], 3), round(right[k] / max(found[k], 1), 3)) for k in labelled}
    print(f"recall {recall:.3f}, precision {precision:.3f}, by kind {by_kind}")
    assert recall >= 0.95, by_kind
    assert precision >= 0.95, by_kind


def test_the_same_person_has_the_same_pseudonym_in_two_documents(detector: Detector) -> None:
    pseudonyms = Pseudonyms(b"k" * 32)
    first, last = next(name for name in NAMES if name.count(" ") == 1).split()
    one = mask(f"Ask {first} {last} about the lift.", detector, pseudonyms).text
    two = mask(f"# Contacts\n\n{last.upper()}, {first} looks after it.", detector, pseudonyms).text
    token = one.split("Ask ")[1].split(" about")[0]
    assert token.startswith("[PERSON_")
    assert token in two
    assert token not in mask(f"Ask {first} {last}.", detector, Pseudonyms(b"x" * 32))[0]
