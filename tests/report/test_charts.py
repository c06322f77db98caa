"""Charts: the same each time, whatever the labels hold."""

from __future__ import annotations

from xml.etree import ElementTree

import matplotlib
import pytest

from dolly.report.charts import bars, histogram, stacked
from dolly.report.flow_drawing import flow_drawing

LABELS = ["a $\\frac{1}$ <script>&\"' \N{CJK UNIFIED IDEOGRAPH-6771}", "b" * 200]
STEP = {"stage": "ingest", "into": {"records": 10}, "out": {"bronze examples": 9, "rejected": 1}, "unequal": []}


@pytest.mark.parametrize(
    "draw",
    [
        lambda: bars(LABELS, [5, 0], name="one", title="Rows"),
        lambda: stacked(
            LABELS, {"x": [50, 0], "y": [50, 100]}, name="one", title="Rows", colours=["private", "public"]
        ),
        lambda: histogram(["1", "2"], [5, 0], name="one", title="Rows", axis="tokens"),
        lambda: flow_drawing([STEP], name="one"),
    ],
)
def test_a_chart_is_the_same_each_time_and_says_what_it_shows(draw: object) -> None:
    assert callable(draw)
    first = draw()
    with matplotlib.rc_context({"svg.fonttype": "path", "font.size": 30}):  # a user's own settings
        assert draw() == first
    root = ElementTree.fromstring(first)
    names = {child.attrib.get("id"): child.text for child in root}
    assert names["one-title"]
    assert "9 bronze examples" in names["one-description"] or "5" in names["one-description"]
    assert "metadata" not in first
    assert all("one" in element.attrib["id"] for element in root.iter() if "id" in element.attrib)


def test_no_rows_at_all_can_be_drawn() -> None:
    empty = {"stage": "ingest", "into": {"records": 0}, "out": {"bronze examples": 0, "rejected": 0}, "unequal": []}
    assert "0 records = 0 bronze examples" in flow_drawing([empty], name="one")
