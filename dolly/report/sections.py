"""Sections of the page about the origin of the rows and the rules that were applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dolly import accounting
from dolly.clean.reasons import REASONS
from dolly.report import charts
from dolly.report.flow_drawing import flow_drawing, sentence
from dolly.report.markup import Cell, figure, paragraph, share, table

Figures = Mapping[str, Any]
_BARS = 15
_COLUMNS = 6  # sources side by side


def flow(figures: Figures) -> str:
    """Rows in and out of each stage."""
    steps = figures["flow"]
    parts = [figure(flow_drawing(steps, name="flow"), "Band width is proportional to the number of rows.")]
    bad = [step for step in steps if step["unequal"]]
    if bad:
        where = "; ".join(f"{step['stage']} ({', '.join(step['unequal'])})" for step in bad)
        text = (
            f"The rows do not add up in {where}. The stage has not run since what it reads has changed: run it again."
        )
        parts.append(paragraph(text, kind="bad"))
    else:
        text = "Every number adds up: in each stage and for each source, rows in = rows out + rejected + left out."
        parts.append(paragraph(text, kind="good"))
    rows = []
    for step in steps:
        into, out = sum(step["into"].values()), sum(step["out"].values())
        left, right = sentence(step).removeprefix(f"{step['stage']}: ").rstrip(".").replace("≠", "=").split(" = ")
        rows.append((step["stage"], left, right, into, out, "no" if step["unequal"] else "yes"))
    columns = ("stage", "in", "out", "rows in", "rows out", "adds up")
    return "".join([*parts, table("Rows of each stage", columns, rows)])


def sources(figures: Figures) -> str:
    """Each source's rows, and the shares of private and public."""
    every = figures["sources"]
    ordered = sorted(every, key=lambda row: -row["records"])
    names = [row["source"] for row in ordered[:_BARS]]
    series = {
        "in gold": [row["gold"] for row in ordered[:_BARS]],
        "in silver, not in gold": [_silver_only(row) for row in ordered[:_BARS]],
        "rejected": [_rejected(row) for row in ordered[:_BARS]],
    }
    chart = charts.stacked(
        names, series, name="sources", title="Rows of each source", colours=("gold", "silver", "rejected")
    )
    caption = "What became of each source's rows." + _more(len(every), _BARS, "sources")
    columns = ("source", "visibility", "files", "bronze", "rejected", "silver", "gold", "held out", "samples", "tokens")
    rows = [
        (
            *(row["source"], row["visibility"], row["files"], row["bronze examples"] + row["bronze documents"]),
            *(_rejected(row), row["silver examples"] + row["silver documents"]),
            *(row[name] for name in ("gold", "held out", "samples", "tokens")),
        )
        for row in ordered
    ]
    note = "Samples: training rows of an epoch, a row of several copies counted as often; tokens: theirs."
    return (
        figure(chart, caption)
        + table("Rows of each source", columns, rows)
        + paragraph(note, kind="note")
        + _mix(every)
    )


def _mix(every: Sequence[Figures]) -> str:
    measures: dict[str, Callable[[Figures], int]] = {
        "training rows": lambda row: row["gold"] - row["held out"],
        "samples of an epoch": lambda row: row["samples"],
        "tokens of an epoch": lambda row: row["tokens"],
    }
    sides = ("private", "public")
    sums = {
        side: [sum(measure(row) for row in every if row["visibility"] == side) for measure in measures.values()]
        for side in sides
    }
    totals = [sum(values) for values in zip(*sums.values(), strict=True)]
    if not all(totals):
        return ""
    shares = {side: [100 * n / total for n, total in zip(sums[side], totals, strict=True)] for side in sides}
    title = "Shares of private and public in training"
    chart = charts.stacked(list(measures), shares, name="mix", title=title, colours=sides, percent=True)
    rows = [
        (
            name,
            sums["private"][at],
            sums["public"][at],
            share(sums["private"][at], total),
            share(sums["public"][at], total),
        )
        for at, (name, total) in enumerate(zip(measures, totals, strict=True))
    ]
    columns = ("measure", "private", "public", "private share", "public share")
    return f"<h3>{title}</h3>" + figure(chart, "Held-out rows are not counted.") + table(title, columns, rows)


def _silver_only(row: Figures) -> int:
    kept = row["silver examples"] + row["silver documents"] + row["parts"]
    return max(0, int(kept - row["gold"] - row["rejected by prepare"]))


def _rejected(row: Figures) -> int:
    return sum(int(row[f"rejected by {stage}"]) for stage in ("ingest", "clean", "prepare"))


def rules(figures: Figures) -> str:
    """Rejected, fixed and flagged rows by rule."""
    parts = []
    if lines := figures.get("rejected"):
        parts.append(_rule_bars(lines, "rule", "rejected", "Rows that each rule rejected"))
        parts.append(_by_source("Rejected rows of each source", lines, "rows", names=("rule", "stage")))
        first: dict[tuple[str, str], Figures] = {}
        for row in lines:  # the largest source's
            first.setdefault((row["rule"], row["stage"]), row)
        columns = ("rule", "why", "one row's id", "its source", "what the rule found in it")
        keys = ("rule", "reason", "example", "source", "detail")
        parts.append(
            table("One row of each rule", columns, [tuple(row[key] for key in keys) for row in first.values()])
        )
    for section, title, colour in (
        ("fixed", "Rows that each rule has changed", "plain"),
        ("flagged", "Rows that each rule marks, and keeps", "public"),
    ):
        if lines := figures.get(section):
            parts.append(_rule_bars(lines, "name", section, title, colour))
            caption = f"{section.capitalize()} rows of each source"
            parts.append(_by_source(caption, lines, "rows", names=("name",), explain=True))
    return "".join(parts)


def masked(figures: Figures) -> str:
    """Personal data and secrets, by kind; never what they were."""
    lines = figures["masked"]
    counts: Counter[str] = Counter()
    for row in lines:
        counts[row["name"]] += row["occurrences"]
    kinds, values = zip(*counts.most_common(_BARS), strict=True)
    chart = charts.bars(kinds, values, name="masked", title="Personal data that was masked", colour="documents")
    return figure(chart, "Occurrences of each kind.") + _by_source(
        "Masked personal data and secrets of each source", lines, "occurrences", names=("name",)
    )


def _by_source(
    caption: str, lines: Sequence[Figures], measure: str, *, names: Sequence[str], explain: bool = False
) -> str:
    """A table with a row for each rule and a column for each of the sources with the most."""
    by_source: Counter[str] = Counter()
    by_rule: dict[tuple[str, ...], Counter[str]] = {}
    for line in lines:
        by_source[line["source"]] += line[measure]
        by_rule.setdefault(tuple(line[name] for name in names), Counter())[line["source"]] += line[measure]
    shown = [source for source, _ in by_source.most_common(_COLUMNS)]
    columns = ["kind" if measure == "occurrences" else "rule", *names[1:], "all", *shown]
    columns += ["other sources"] if len(by_source) > len(shown) else []
    rows: list[list[Cell]] = []
    for rule, counts in sorted(by_rule.items(), key=lambda item: (-item[1].total(), item[0])):
        cells: list[Cell] = [*rule, counts.total(), *(counts[source] or None for source in shown)]
        if len(by_source) > len(shown):
            cells.append(counts.total() - sum(counts[source] for source in shown))
        rows.append([*cells, _reason(rule[0])] if explain else cells)
    return table(caption, [*columns, "why"] if explain else columns, rows)


def _rule_bars(lines: Sequence[Figures], key: str, section: str, title: str, colour: str = "rejected") -> str:
    counts: Counter[str] = Counter()
    for row in lines:
        counts[row[key]] += row["rows"]
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_BARS]
    chart = charts.bars([n for n, _ in top], [v for _, v in top], name=f"rules-{section}", title=title, colour=colour)
    return f"<h3>{section.capitalize()}</h3>" + figure(chart, f"{title}.{_more(len(counts), _BARS, 'rules')}")


def _reason(rule: str) -> Cell:
    return REASONS.get(rule) or accounting.REASONS.get(rule)


def _more(total: int, shown: int, noun: str) -> str:
    return f" And {total - shown:,} more {noun}." if total > shown else ""
