"""Draws the flow of rows from the records to gold; band width is proportional to the number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dolly.report.charts import COLOURS
from dolly.report.svg import drawing, inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NODE = 0.035  # width of a node, where stages are 1 apart
_LANE = -1.42  # y of the rejected rows; the thickest node is 1 high
_GAP = 0.05  # between the pieces of a node
_THINNEST = 0.012  # so that one row of a million is visible


def flow_drawing(flow: Sequence[Mapping[str, Any]], *, name: str) -> str:
    """Draws the balances of the stages.

    Args:
        flow: the figures' section of that name, at least one stage.
        name: id of the figure.
    """
    most = max(sum(step[side].values()) for step in flow for side in ("into", "out")) or 1
    with drawing(9.2, 3.9) as figure:
        axes = figure.add_subplot()
        ends = _node(axes, 0, {"records": sum(flow[0]["into"].values())}, most)
        for index, step in enumerate(flow):
            ends = _stage(axes, index, step, ends, most)
        axes.set_xlim(-0.03, len(flow) + 0.62)
        axes.set_ylim(_LANE - 0.32, 0.16)
        axes.axis("off")
        title = "Rows from stage to stage"
        return inline(figure, name=name, title=title, description=f"{title}. {' '.join(map(sentence, flow))}")


def sentence(step: Mapping[str, Any]) -> str:
    """A balance in words: 10 records = 9 bronze examples + 1 rejected."""
    sides = [" + ".join(f"{rows:,} {name}" for name, rows in _shown(step[side]).items()) for side in ("into", "out")]
    return f"{step['stage']}: {sides[0]} {'≠' if step['unequal'] else '='} {sides[1]}."


def _shown(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: rows for name, rows in counts.items() if rows} or dict(list(counts.items())[:1])


def _stage(
    axes: Axes, index: int, step: Mapping[str, Any], ends: Mapping[str, tuple[float, float]], most: int
) -> dict[str, tuple[float, float]]:
    """Draws the bands of a stage; returns the top and bottom of each piece on the right."""
    out = _shown(step["out"])
    kept = {name: rows for name, rows in out.items() if name != "rejected"}
    pieces = _node(axes, index + 1, kept, most)
    starts = [ends[name] for name in step["into"] if name in ends]
    if not starts:
        return pieces
    top, bottom = starts[0][0], starts[-1][1]
    total = sum(out.values()) or 1
    for name, rows in out.items():
        low = top - (starts[0][0] - bottom) * rows / total
        if name == "rejected":
            _leaves(axes, index, (top, low), rows, most)
        else:
            _band(axes, (index + _NODE, *_thick(top, low)), (index + 1, *pieces[name]), _colour(name))
        top = low
    return pieces


def _node(axes: Axes, index: int, counts: Mapping[str, int], most: int) -> dict[str, tuple[float, float]]:
    pieces: dict[str, tuple[float, float]] = {}
    top = 0.0
    for name, rows in counts.items():
        height = max(rows / most, _THINNEST)
        axes.bar(index + _NODE / 2, -height, width=_NODE, bottom=top, color=_colour(name), linewidth=0)
        middle = top - height / 2
        axes.text(index + 0.06, middle + 0.035, f"{rows:,}", fontweight="bold", fontsize=10, va="center")
        axes.text(index + 0.06, middle - 0.045, name, fontsize=8.5, va="center", color="#3a4856")
        pieces[name] = (top, top - height)
        # Thin pieces still need room for their labels.
        top -= max(height, 0.17) + _GAP
    return pieces


def _leaves(axes: Axes, index: int, start: tuple[float, float], rows: int, most: int) -> None:
    thick = max(rows / most, _THINNEST)
    end = index + 0.62
    _band(axes, (index + _NODE, *_thick(*start)), (end, _LANE + thick / 2, _LANE - thick / 2), COLOURS["rejected"])
    axes.bar(end + _NODE / 2, -thick, width=_NODE, bottom=_LANE + thick / 2, color=COLOURS["rejected"], linewidth=0)
    axes.text(end + 0.06, _LANE + 0.035, f"{rows:,}", fontweight="bold", fontsize=10, va="center")
    axes.text(end + 0.06, _LANE - 0.045, "rejected", fontsize=8.5, va="center", color="#3a4856")


def _thick(top: float, bottom: float) -> tuple[float, float]:
    return top, min(bottom, top - _THINNEST)


def _band(axes: Axes, left: tuple[float, float, float], right: tuple[float, float, float], colour: str) -> None:
    """Draws a band between two vertical edges, each (x, top, bottom)."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    (x0, top0, bottom0), (x1, top1, bottom1) = left, right
    middle = (x0 + x1) / 2
    points = [(x0, top0), (middle, top0), (middle, top1), (x1, top1)]
    points += [(x1, bottom1), (middle, bottom1), (middle, bottom0), (x0, bottom0), (x0, top0)]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    axes.add_patch(PathPatch(Path(points, codes), facecolor=colour, alpha=0.32, linewidth=0))


def _colour(name: str) -> str:
    if "documents" in name:
        return COLOURS["documents"]
    return COLOURS.get(name, COLOURS["examples"])
