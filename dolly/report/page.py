"""Renders the page from the figures: one HTML file without scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from dolly.report import content, sections
from dolly.report.changes import Change
from dolly.report.markup import Cell, compact, paragraph, share, table, tiles
from dolly.report.style import STYLE

# The page fetches nothing and runs nothing, also if a row contains HTML.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_CHANGES = 15
_FOOTER = "Texts of rows are not shown: dolly rows follows a row by its id, dolly rejected lists rejected ones."
# id → (heading, keys of the figures of which one must exist, function that renders it)
_SECTIONS: dict[str, tuple[str, tuple[str, ...], Callable[[Mapping[str, Any]], str]]] = {
    "flow": ("From stage to stage", ("flow",), sections.flow),
    "sources": ("Sources", ("sources",), sections.sources),
    "rules": ("Rules", ("rejected", "fixed", "flagged"), sections.rules),
    "masked": ("Personal data", ("masked",), sections.masked),
    "duplicates": ("Duplicates", ("duplicates",), content.duplicates),
    "lengths": ("Lengths", ("characters", "tokens"), content.lengths),
    "languages": ("Languages", ("languages",), content.languages),
    "categories": ("Categories", ("categories",), content.categories),
    "documents": ("Documents", ("documents",), content.documents),
    "bad-files": ("Files that could not be read", ("bad_files",), content.bad_files),
    "benchmarks": ("Benchmarks", ("benchmarks",), content.benchmarks),
}


def page_of(figures: Mapping[str, Any], changes: Sequence[Change] | None) -> str:
    """Renders the report.

    Args:
        figures: from `figures_of`.
        changes: changes since the previous run; None if there was none.
    """
    rendered = {
        name: (heading, make(figures))
        for name, (heading, keys, make) in _SECTIONS.items()
        if any(figures.get(key) for key in keys)
    }
    if changes is not None:
        # After the flow, which explains the numbers.
        first = {"flow": rendered.pop("flow")} if "flow" in rendered else {}
        rendered = first | {"changes": ("Since the run before", _changes(changes))} | rendered
    links = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, (heading, _) in rendered.items())
    bodies = "".join(
        f'<section id="{name}" aria-labelledby="{name}-heading"><h2 id="{name}-heading">{heading}</h2>{body}</section>'
        for name, (heading, body) in rendered.items()
    )
    title = f"Data report: {figures['dataset']}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><header><h1>{escape(title)}</h1>{paragraph(_summary(figures))}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
        f"<main>{_tiles(figures['headline'])}{bodies}</main>\n"
        f"<footer>{paragraph(_FOOTER)}</footer></body></html>\n"
    )


def _summary(figures: Mapping[str, Any]) -> str:
    counts = figures["headline"]
    steps = [step["stage"] for step in figures.get("flow", ())]
    if not steps:
        return "Nothing has been ingested yet."
    several = f"{', '.join(steps[:-1])} and {steps[-1]}" if len(steps) > 1 else steps[0]
    number = len(figures["sources"])
    return (
        f"What became of {counts['records']:,} records in {counts['files']:,} files "
        f"of {number:,} {'source' if number == 1 else 'sources'}, after {several}."
    )


def _tiles(counts: Mapping[str, int]) -> str:
    bronze = counts["bronze examples"] + counts["bronze documents"]
    silver = counts["silver examples"] + counts["silver documents"]
    rejected = sum(rows for name, rows in counts.items() if name.startswith("rejected"))
    values = [
        (counts["records"], "records", f"in {counts['files']:,} files"),
        (bronze, "bronze rows", f"of which {counts['bronze documents']:,} documents"),
        (silver, "silver rows", f"{share(silver, bronze)} of bronze"),
        (rejected, "rejected rows", f"{share(rejected, counts['records'])} of the records"),
        (counts["gold"], "gold rows", f"of which {counts['held out']:,} held out"),
        (counts["tokens"], "tokens an epoch", f"in {counts['samples']:,} samples"),
    ]
    return tiles(
        [(compact(number), what, remark) for number, what, remark in values if number or what == "rejected rows"]
    )


def _changes(changes: Sequence[Change]) -> str:
    headline = [change for change in changes if change.section == "headline" and (change.before or change.now)]
    others = [change for change in changes if change.section != "headline"]
    changed = sorted((change for change in others if change.difference), key=lambda change: -abs(change.difference))
    same = len(others) - len(changed)
    parts = [table("Headline numbers", ("number", "before", "now", "change", ""), [_line(c)[1:] for c in headline])]
    if changed:
        columns = ("section", "number", "before", "now", "change", "")
        rows, hidden = [_line(change) for change in changed[:_CHANGES]], max(0, len(changed) - _CHANGES)
        parts.append(table("Other numbers, the largest changes first", columns, rows, hidden=hidden))
    parts.append(paragraph(f"{same:,} other numbers are as they were.", kind="note"))
    return "".join(parts)


def _line(change: Change) -> tuple[Cell, ...]:
    sign = "+" if change.difference > 0 else "−" if change.difference < 0 else "±"
    text = f"{sign}{abs(change.difference):,}"
    ratio = f"{sign}{share(abs(change.difference), change.before)}" if change.before and change.difference else ""
    return (change.section, change.name, change.before, change.now, text, ratio)
