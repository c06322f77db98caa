"""The charts of a report: bars, stacked bars, histograms. Each returns inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dolly.report.svg import drawing, inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Distinct for people with any colour vision, and in grey by their lightness.
COLOURS = {
    "private": "#1f5f99",
    "public": "#e0a030",
    "gold": "#d4a52a",
    "silver": "#8fa6bd",
    "examples": "#3f78ad",
    "documents": "#5aa493",
    "rejected": "#c2504d",
    "left out": "#b9c1c9",
    "plain": "#3f78ad",
}
_WIDTH = 7.4
_LABEL_CHARACTERS = 34


def bars(labels: Sequence[str], values: Sequence[int], *, name: str, title: str, colour: str = "plain") -> str:
    """Horizontal bars, the first on top, each with its number.

    Args:
        labels: names of the bars.
        values: lengths of the bars.
        name: id of the figure.
        title: title of the figure.
        colour: a key of `COLOURS`.
    """
    return stacked(labels, {"": values}, name=name, title=title, colours=[colour])


def stacked(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    name: str,
    title: str,
    colours: Sequence[str],
    percent: bool = False,
) -> str:
    """Stacked horizontal bars, the first on top.

    Args:
        labels: names of the bars.
        series: piece → its length in each bar.
        name: id of the figure.
        title: title of the figure.
        colours: keys of `COLOURS`, one per piece.
        percent: are the numbers shares of 100, written into the pieces?
    """
    several, last = len(series) > 1, list(series)[-1]
    with drawing(_WIDTH, 0.34 * len(labels) + (0.75 if several else 0.35)) as figure:
        axes = figure.add_subplot()
        rows = range(len(labels))
        left = [0.0] * len(labels)
        for (piece, values), colour in zip(series.items(), colours, strict=True):
            drawn = axes.barh(rows, values, left=left, height=0.68, color=COLOURS[colour], label=piece, linewidth=0)
            if percent:
                texts = [f"{value:.0f} %" if value >= 6 else "" for value in values]
                axes.bar_label(drawn, texts, label_type="center", color="#ffffff" if colour == "private" else "#243240")
            left = [start + value for start, value in zip(left, values, strict=True)]
            if not percent and piece == last:
                axes.bar_label(drawn, [f"{total:,.0f}" for total in left], padding=4)
        axes.set_yticks(rows, [_short(label) for label in labels])
        axes.set_ylim(len(labels) - 0.45, -0.55)
        axes.set_xlim(0, 100 if percent else max([*left, 1]) * 1.14)
        _bare(axes)
        if several:
            figure.legend(loc="outside lower left", ncols=len(series), frameon=False, handlelength=1, handleheight=1)
        shares = "; ".join(_bar_description(label, series, index) for index, label in enumerate(labels))
        return inline(figure, name=name, title=title, description=f"{title}. {shares}.")


def histogram(
    labels: Sequence[str], values: Sequence[int], *, name: str, title: str, axis: str, colour: str = "plain"
) -> str:
    """Vertical bars.

    Args:
        labels: the ranges.
        values: rows in each range.
        name: id of the figure.
        title: title of the figure.
        axis: label of the axis.
        colour: a key of `COLOURS`.
    """
    with drawing(_WIDTH, 2.5) as figure:
        axes = figure.add_subplot()
        positions = range(len(labels))
        drawn = axes.bar(positions, values, width=0.88, color=COLOURS[colour], linewidth=0)
        if len(labels) <= 14:
            axes.bar_label(drawn, [f"{value:,}" if value else "" for value in values], padding=2, fontsize=7.5)
        # Long labels of many bars would overlap.
        every = 1 if len(labels) <= 9 else -(-len(labels) // 8)
        ticks = [position for position in positions if position % every == 0]
        axes.set_xticks(ticks, [labels[position] for position in ticks])
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel(axis, loc="left")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.margins(y=0.12)
        # A few bars are as wide as nine would be.
        axes.set_xlim(-0.6, max(len(labels), 9) - 0.4)
        ranges = "; ".join(f"{label}: {value:,}" for label, value in zip(labels, values, strict=True))
        return inline(figure, name=name, title=title, description=f"{title}, by {axis}. {ranges}.")


def _bare(axes: Axes) -> None:
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_CHARACTERS else label[: _LABEL_CHARACTERS - 1] + "…"


def _bar_description(label: str, series: Mapping[str, Sequence[float]], index: int) -> str:
    pieces = [f"{piece} {values[index]:,.0f}".strip() for piece, values in series.items()]
    return f"{label}: {', '.join(pieces)}"
