"""The whole report of a small data set: its numbers are right, its page is inert and always the same."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from dolly.report import data_report
from dolly.tables import Tables
from tests.report.conftest import MAIL, SOURCES, row_id

pytestmark = pytest.mark.spark
FLOW = [
    {
        "stage": "ingest",
        "into": {"records": 19},
        "out": {"bronze examples": 15, "bronze documents": 2, "rejected": 2},
        "unequal": [],
    },
    {
        "stage": "clean",
        "into": {"bronze examples": 15, "bronze documents": 2},
        "out": {"silver examples": 12, "silver documents": 2, "rejected": 3},
        "unequal": [],
    },
    {
        "stage": "prepare",
        "into": {"silver examples": 12, "further parts of split conversations": 1},
        "out": {"gold": 9, "left out": 3, "rejected": 1},
        "unequal": [],
    },
]


class Elements(HTMLParser):
    """Tags and attributes of a page, as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def made(spark: Any, filled: Tables) -> tuple[str, dict[str, Any]]:
    return data_report(filled, spark, dataset="mine", sources=SOURCES, previous=None)


def test_every_number_of_the_flow_adds_up(made: tuple[str, dict[str, Any]]) -> None:
    page, figures = made
    assert figures["flow"] == FLOW
    assert "Every number adds up" in page


def test_sources_have_their_rows_copies_and_tokens(made: tuple[str, dict[str, Any]]) -> None:
    measures = ("source", "visibility", "files", "silver examples", "gold", "held out", "samples", "tokens")
    assert [tuple(row[name] for name in measures) for row in made[1]["sources"]] == [
        ("faq", "private", 1, 8, 6, 1, 10, 100),
        ("chat", "public", 2, 4, 3, 0, 3, 120),
        ("docs", "private", 3, 0, 0, 0, 0, 0),
    ]
    assert re.search(r"samples of an epoch</th>.*?76\.9 %.*?23\.1 %", made[0])


def test_rules_are_counted_with_one_row_each(made: tuple[str, dict[str, Any]]) -> None:
    figures = made[1]
    lines = {(row["stage"], row["source"], row["rule"]): row for row in figures["rejected"]}
    assert len(lines) == 6
    line = lines["clean", "faq", "exact_duplicate"]
    assert (line["rows"], line["reason"], line["example"]) == (1, "why", row_id("f8")[:12])
    assert line["detail"] == f"same as {row_id('f0')[:12]}"
    assert [(row["source"], row["name"], row["rows"]) for row in figures["fixed"]] == [
        ("chat", "mojibake", 1),
        ("faq", "html_entities", 1),
        ("faq", "mojibake", 1),
    ]
    assert {(row["source"], row["name"]): row["rows"] for row in figures["flagged"]} == {
        ("faq", "refusal"): 1,
        ("chat", "refusal"): 1,
        ("docs", "refusal"): 2,
    }


def test_personal_data_is_counted_by_kind(made: tuple[str, dict[str, Any]]) -> None:
    assert made[1]["masked"] == [
        {"source": "faq", "name": "EMAIL", "rows": 2, "occurrences": 3},
        {"source": "faq", "name": "PHONE", "rows": 1, "occurrences": 1},
    ]


def test_a_cluster_is_the_kept_row_and_those_merged_into_it(made: tuple[str, dict[str, Any]]) -> None:
    assert made[1]["duplicates"] == {
        "exact": 1,
        "near": 1,
        "clusters": 1,
        "sizes": [{"from": 3, "rows": 1}],
        "largest": [{"kept": row_id("f0")[:12], "exact": 1, "near": 1, "size": 3}],
    }


def test_lengths_are_of_all_questions_and_answers_of_a_row(made: tuple[str, dict[str, Any]]) -> None:
    characters, tokens = made[1]["characters"], made[1]["tokens"]
    assert characters["question"] == {
        "mean": 24,
        "max": 30,
        "buckets": [{"from": 10, "rows": 4}, {"from": 20, "rows": 8}],
    }
    assert (characters["answer"]["mean"], characters["answer"]["max"]) == (204, 300)
    assert {name: tokens[name] for name in ("p50", "p90", "max", "mean")} == {
        "p50": 10,
        "p90": 40,
        "max": 40,
        "mean": 21,
    }


def test_truncated_tokens_are_those_of_the_training_set_that_gold_is(made: tuple[str, dict[str, Any]]) -> None:
    assert (made[1]["tokens"]["truncated_rows"], made[1]["tokens"]["truncated_tokens"]) == (3, 15)


def test_contents_are_counted(made: tuple[str, dict[str, Any]]) -> None:
    figures = made[1]
    assert {row["language"]: row["rows"] for row in figures["languages"]} == {"en": 10, "unknown": 4}
    assert [row["rows"] for row in figures["categories"]["top"]] == [6, 4]
    assert (figures["categories"]["others"], figures["categories"]["without"]) == (0, 2)
    assert {(row["kind"], row["pages"], row["with_notes"]) for row in figures["documents"]} == {
        ("pdf", 4, 1),
        ("markdown", 0, 0),
    }
    assert figures["benchmarks"] == [{"benchmark": "vicuna", "rows": 1}]
    assert (figures["bad_files"]["rows"], figures["bad_files"]["some"][0]["rule"]) == (1, "bad_pdf")


def test_nothing_of_a_row_comes_to_life(made: tuple[str, dict[str, Any]]) -> None:
    elements = Elements(made[0]).found
    tags = {tag for tag, _ in elements}
    assert not tags & {"script", "iframe", "object", "embed", "img", "link", "base", "form", "foreignobject"}
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")]
        links = [value for name, value in attributes.items() if name in ("href", "xlink:href", "src")]
        assert all(value and value.startswith("#") for value in links), (tag, attributes)
    # The payload is there, as text, in a table and in a chart.
    assert made[0].count("&lt;script&gt;alert(1)") >= 2
    assert not re.search(r"@import|url\((?!#)|\x1b|\u202e", made[0])


def test_no_personal_data_is_on_the_page_or_in_the_figures(made: tuple[str, dict[str, Any]]) -> None:
    page, figures = made
    assert "[EMAIL]" in page
    assert MAIL not in page + json.dumps(figures)


def test_figures_are_named_tables_have_headings_and_ids_are_unique(made: tuple[str, dict[str, Any]]) -> None:
    elements = Elements(made[0]).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    charts = [attributes for tag, attributes in elements if tag == "svg"]
    assert len(charts) > 8
    for chart in charts:
        assert chart["role"] == "img"
        assert set(str(chart["aria-labelledby"]).split()) <= set(ids)
    for tag, attributes in elements:
        assert tag != "th" or attributes["scope"] in ("row", "col")


def test_equal_tables_give_an_equal_page(spark: Any, filled: Tables, made: tuple[str, dict[str, Any]]) -> None:
    again = data_report(filled, spark, dataset="mine", sources=SOURCES, previous=None)
    assert again == made
    assert json.loads(json.dumps(again[1])) == made[1]


def test_only_what_has_run_is_reported(spark: Any, bronze_only: Tables) -> None:
    page, figures = data_report(bronze_only, spark, dataset="mine", sources=SOURCES, previous=None)
    assert figures["flow"] == FLOW[:1]
    assert figures.keys() == {"dataset", "headline", "flow", "sources", "rejected", "documents", "bad_files"}
    assert "Every number adds up" in page
    assert "after ingest." in page


def test_of_an_empty_home_there_is_a_page_too(spark: Any, tmp_path: Any) -> None:
    page, figures = data_report(Tables(tmp_path), spark, dataset="mine", sources=SOURCES, previous=None)
    assert "Nothing has been ingested yet" in page
    assert "flow" not in figures


def test_the_kept_row_is_found_in_what_the_clean_stage_writes(spark: Any) -> None:
    from dolly.clean.verdicts import cluster_members
    from dolly.report.aggregates import KEPT

    columns = (
        "input_hash bigint, content_key bigint, question_key bigint, example_id string, source string, "
        "visibility string, wordings string, variant string, fixes array<string>, flags array<string>, "
        "answer_length int, position bigint"
    )
    ids = [row_id(f"f{at}") for at in range(3)]
    rows = [
        (at, key, None, ids[at], "faq", "private", None, None, [], [], 9, at) for at, key in enumerate((10, 10, 11))
    ]
    pairs = spark.createDataFrame([(10, 11, 0.8)], "a bigint, b bigint, similarity double")
    found = (
        cluster_members(spark.createDataFrame(rows, columns), pairs, sources=["faq"])
        .where("duplicate IS NOT NULL")
        .collect()
    )
    details = {row["duplicate"]: row["same_as"] for row in found}
    assert set(details) == {"exact_duplicate", "near_duplicate"}
    for detail in details.values():
        match = re.search(KEPT, detail)
        assert match is not None
        assert match[1] == ids[0]
