"""The page from figures alone: what changed, what does not add up, and how large it can get."""

from __future__ import annotations

import copy
from typing import Any

from dolly.report.changes import Change, changes
from dolly.report.flow import step
from dolly.report.page import page_of

MEASURES = (
    *("files", "records", "bronze examples", "bronze documents", "silver examples", "silver documents", "gold"),
    *("held out", "left out", "parts", "samples", "tokens"),
    *("rejected by ingest", "rejected by clean", "rejected by prepare"),
)


def figures(sources: int, rules: int, text: str) -> dict[str, Any]:
    names = [f"source_{at}_{text}" for at in range(sources)]
    lines = [
        {"source": source, "name": f"rule_{at}", "rows": 7, "occurrences": 7} for source in names for at in range(rules)
    ]
    rejected = [
        {"stage": "clean", "source": line["source"], "rule": line["name"], "rows": 5}
        | {"reason": text, "example": "0" * 12, "detail": text}
        for line in lines
    ]
    return {
        "dataset": "mine",
        "headline": dict.fromkeys(MEASURES, 10**9),
        "flow": [
            {"stage": "ingest", "into": {"records": 9}, "out": {"bronze examples": 8, "rejected": 1}, "unequal": []},
        ],
        "sources": [{"source": name, "visibility": "private"} | dict.fromkeys(MEASURES, 10**6) for name in names],
        "rejected": rejected,
        "fixed": lines,
        "flagged": lines,
        "masked": lines,
        "duplicates": {
            "exact": 5,
            "near": 5,
            "clusters": 4,
            "sizes": [{"from": 2, "rows": 4}],
            "largest": [{"kept": "0", "exact": 1, "near": 0, "size": 2}],
        },
        "languages": [{"language": f"l{at}", "rows": 1, "examples": 1, "documents": 0} for at in range(200)],
        "categories": {"top": [{"category": text, "rows": 3}] * 20, "others": 9, "without": 9},
        "documents": [{"kind": f"k{at}", "rows": 1, "pages": 1, "with_notes": 0} for at in range(200)],
        "benchmarks": [{"benchmark": f"b{at}", "rows": 1} for at in range(200)],
    }


def few() -> dict[str, Any]:
    """Figures of one source, of the sections that are quick to draw."""
    sections = ("dataset", "headline", "flow", "sources", "rejected")
    return {name: section for name, section in figures(sources=1, rules=1, text="x").items() if name in sections}


def test_the_page_stays_small_whatever_the_data() -> None:
    now = figures(sources=150, rules=40, text="<&\"'$" * 16)
    before = copy.deepcopy(now)
    for row in (*before["rejected"], *before["fixed"]):
        row["rows"] += 1
    page = page_of(now, changes(now, before))
    assert len(page.encode()) < 1_500_000
    assert "and 120 more" in page  # sources
    assert "other sources" in page


def test_a_stage_that_does_not_add_up_is_named_with_its_sources() -> None:
    shown = few()
    shown["flow"][0]["unequal"] = ["faq"]
    page = page_of(shown, None)
    assert "do not add up in ingest (faq)" in page
    assert "Every number adds up" not in page
    assert "9 records ≠ 8 bronze examples + 1 rejected" in page


def test_rows_that_are_equal_in_sum_but_not_in_a_source_do_not_add_up() -> None:
    from collections import Counter

    balance = step("clean", {"bronze": Counter(a=3, b=3)}, {"silver": Counter(a=2, b=3), "rejected": Counter(b=1)})
    assert (balance["into"], balance["out"]) == ({"bronze": 6}, {"silver": 5, "rejected": 1})
    assert balance["unequal"] == ["a", "b"]


def test_changes_tell_before_now_and_what_is_new_or_gone() -> None:
    now = {"headline": {"records": 12}, "masked": [{"source": "a", "name": "EMAIL", "rows": 1, "occurrences": 4}]}
    before = {"headline": {"records": 10}, "fixed": [{"source": "a", "name": "mojibake", "rows": 3}]}
    assert changes(now, before) == [
        Change("headline", "records", 10, 12),
        Change("masked", "a / EMAIL", None, 4),
        Change("fixed", "a / mojibake", 3, None),
    ]
    assert [change.difference for change in changes(now, before)] == [2, 4, -3]


def test_changes_are_on_the_page() -> None:
    now = few()
    before = copy.deepcopy(now)
    before["headline"]["records"] = 800_000_000
    before["rejected"][0]["rows"] = 8
    page = page_of(now, changes(now, before))
    assert "+200,000,000" in page
    assert "+25.0 %" in page
    assert "−37.5 %" in page


def test_figures_of_another_version_are_no_reason_to_fail() -> None:
    now = few()
    wrong = {
        "headline": 3,
        "rejected": "none",
        "fixed": [1, {}],
        "sources": [{"source": "<b>", "gold": 1, "files": "2"}],
    }
    assert all(change.before is None for change in changes(now, {}))
    found = changes(now, wrong)
    assert [change for change in found if change.before is not None] == [Change("sources", "<b>: gold", 1, None)]
    assert "<b>" not in page_of(now, found)
