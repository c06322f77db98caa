"""The differences between the figures of two runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# Section → the columns that name a line, the column that is counted.
_COUNTED = {
    "rejected": (("stage", "source", "rule"), "rows"),
    "fixed": (("source", "name"), "rows"),
    "flagged": (("source", "name"), "rows"),
    "masked": (("source", "name"), "occurrences"),
    "languages": (("language",), "rows"),
    "documents": (("kind",), "rows"),
    "benchmarks": (("benchmark",), "rows"),
}


class Change(NamedTuple):
    """One number of both runs; None where a run does not have it."""

    section: str
    name: str
    before: int | None
    now: int | None

    @property
    def difference(self) -> int:
        return (self.now or 0) - (self.before or 0)


def changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[Change]:
    """Every number that either run has, in the order of the sections.

    Args:
        now: figures of this run.
        before: figures of the other run; parts that another version of Dolly wrote and that can't be read count
            as missing.
    """
    new, old = _numbers(now), _numbers(before)
    return [Change(*key, old.get(key), new.get(key)) for key in dict.fromkeys([*new, *old])]


def _numbers(figures: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    numbers: dict[tuple[str, str], int] = {}
    headline = figures.get("headline")
    for name, value in headline.items() if isinstance(headline, Mapping) else ():
        _add(numbers, "headline", str(name), value)
    for row in _lines(figures, "sources"):
        for measure, value in row.items():
            _add(numbers, "sources", f"{row.get('source')}: {measure}", value)
    for section, (names, column) in _COUNTED.items():
        for row in _lines(figures, section):
            _add(numbers, section, " / ".join(str(row.get(name)) for name in names), row.get(column))
    return numbers


def _lines(figures: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    rows = figures.get(section)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _add(numbers: dict[tuple[str, str], int], section: str, name: str, value: Any) -> None:
    if isinstance(value, int) and not isinstance(value, bool):
        numbers[section, name] = value
