"""Sections of the page about the content: duplicates, lengths, languages, categories, documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dolly.report import charts
from dolly.report.lengths import CLUSTER_SIZES, EDGES, range_labels
from dolly.report.markup import figure, paragraph, share, table

Figures = Mapping[str, Any]
_LANGUAGES = 12


def duplicates(figures: Figures) -> str:
    """Duplicates and their clusters."""
    counts = figures["duplicates"]
    text = (
        f"{counts['exact']:,} rows say the same as another one, {counts['near']:,} nearly the same; "
        f"of each of {counts['clusters']:,} clusters one row was kept."
    )
    parts = [paragraph(text)]
    if counts["sizes"]:
        labels = range_labels([row["from"] for row in counts["sizes"]], CLUSTER_SIZES)
        values = [row["rows"] for row in counts["sizes"]]
        title = "Clusters of rows that say the same"
        chart = charts.histogram(labels, values, name="clusters", title=title, axis="rows in a cluster")
        rows = [(row["kept"], row["size"], row["exact"], row["near"]) for row in counts["largest"]]
        columns = ("id of the kept row", "rows", "merged as equal", "merged as near")
        hidden = counts["clusters"] - len(rows)
        parts += [figure(chart, f"{title}, by size."), table("The largest clusters", columns, rows, hidden=hidden)]
    return "".join(parts)


def lengths(figures: Figures) -> str:
    """Lengths of questions and answers, in characters and in tokens."""
    parts = []
    for side, section in figures.get("characters", {}).items():
        labels = range_labels([row["from"] for row in section["buckets"]], (0, *EDGES))
        values = [row["rows"] for row in section["buckets"]]
        title = f"Characters of {'questions' if side == 'question' else 'answers'}"
        chart = charts.histogram(labels, values, name=f"characters-{side}", title=title, axis="characters")
        caption = f"{title} in silver: {section['mean']:,} on average, {section['max']:,} at most."
        parts.append(figure(chart, caption))
    if section := figures.get("tokens"):
        starts = [row["from"] for row in section["bars"]]
        values = [row["rows"] for row in section["bars"]]
        chart = charts.histogram(
            [f"{start:,}" for start in starts],
            values,
            name="tokens",
            title="Tokens of rows",
            axis="tokens",
            colour="gold",
        )
        width = starts[1] - starts[0] if len(starts) > 1 else 1
        parts.append(figure(chart, f"Tokens of gold rows; each bar is {width:,} wide and begins at its number."))
        measures = [("mean", "mean"), ("p50", "half of the rows have at most"), ("p90", "90 % of them")]
        measures += [("p99", "99 % of them"), ("max", "longest row")]
        measures += [("truncated_rows", "rows that lost their end"), ("truncated_tokens", "tokens cut off")]
        parts.append(table("Tokens", ("measure", "tokens or rows"), [(name, section[key]) for key, name in measures]))
    return "".join(parts)


def languages(figures: Figures) -> str:
    """Languages of the silver rows."""
    lines = figures["languages"]
    top = lines[:_LANGUAGES]
    series = {side: [row[side] for row in top] for side in ("examples", "documents")}
    title = "Languages of silver rows"
    names = [row["language"] for row in top]
    chart = charts.stacked(names, series, name="languages", title=title, colours=("examples", "documents"))
    more = f" And {len(lines) - len(top):,} more." if len(lines) > len(top) else ""
    total = sum(row["rows"] for row in lines)
    rows = [(row["language"], row["examples"], row["documents"], share(row["rows"], total)) for row in lines]
    columns = ("language", "examples", "documents", "share")
    return figure(chart, f"{title}, as ISO 639-1 codes.{more}") + table(title, columns, rows)


def categories(figures: Figures) -> str:
    """The categories with the most rows."""
    section = figures["categories"]
    names, values = [row["category"] for row in section["top"]], [row["rows"] for row in section["top"]]
    chart = charts.bars(names, values, name="categories", title="Silver rows of each category")
    text = f"{section['others']:,} rows are of other categories, {section['without']:,} of none."
    return figure(chart, f"The {len(names):,} largest categories. {text}")


def documents(figures: Figures) -> str:
    """Kinds of documents."""
    lines = figures["documents"]
    names, values = [row["kind"] for row in lines[:12]], [row["rows"] for row in lines[:12]]
    chart = charts.bars(names, values, name="documents", title="Documents of each kind", colour="documents")
    rows = [(row["kind"], row["rows"], row["pages"] or None, row["with_notes"]) for row in lines]
    columns = ("kind", "documents", "pages", "of which something was left out")
    return figure(chart, "Documents that could be read.") + table("Documents", columns, rows)


def bad_files(figures: Figures) -> str:
    """Files that could not be read, or not to their end."""
    section = figures["bad_files"]
    rows = [(row["detail"], row["source"], row["rule"], row["reason"]) for row in section["some"]]
    columns = ("what was found", "source", "rule", "why")
    return table("Files of which all or the rest was rejected", columns, rows, hidden=section["rows"] - len(rows))


def benchmarks(figures: Figures) -> str:
    """Rows that contained a question of a benchmark."""
    lines = figures["benchmarks"]
    top = lines[:12]
    title = "Rows that were removed because they hold a benchmark's question"
    chart = charts.bars(
        [row["benchmark"] for row in top],
        [row["rows"] for row in top],
        name="benchmarks",
        title=title,
        colour="rejected",
    )
    return figure(chart, f"{title}.") + table(
        "Benchmarks", ("benchmark", "rows"), [tuple(row.values()) for row in lines]
    )
