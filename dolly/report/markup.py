"""Pieces of HTML: tables and figures. Only this module escapes text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

MOST_ROWS = 30
_LONG_WORD = 22  # characters
_NUMBER = re.compile(r"[+−±]?[\d,.]*( %)?|–")
Cell = str | int | float | None


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, hidden: int = 0) -> str:
    """A table of at most 30 rows; the first column has the row headings.

    Args:
        caption: the table's caption.
        columns: headings.
        rows: a whole number is grouped by thousands, None is a dash.
        hidden: number of rows that are not in `rows`.
    """
    numbers = [all(_is_number(row[column]) for row in rows) for column in range(len(columns))]
    head = "".join(
        f'<th scope="col"{_class(number)}>{escape(text)}</th>' for text, number in zip(columns, numbers, strict=True)
    )
    body = []
    for row in rows[:MOST_ROWS]:
        cells = [f'<th scope="row"{_class(False, row[0])}>{_text(row[0])}</th>']
        cells += [
            f"<td{_class(number, cell)}>{_text(cell)}</td>" for cell, number in zip(row[1:], numbers[1:], strict=True)
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    more = len(rows) - MOST_ROWS + hidden if len(rows) > MOST_ROWS else hidden
    if more:
        body.append(f'<tr class="more"><td colspan="{len(columns)}">and {more:,} more</td></tr>')
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def figure(svg: str, caption: str) -> str:
    """A chart with its caption; `svg` is trusted, `caption` is not."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def paragraph(text: str, *, kind: str = "") -> str:
    """A paragraph; `kind` is a class of the style sheet."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{escape(text)}</p>"


def tiles(values: Sequence[tuple[str, str, str]]) -> str:
    """Large numbers: (number, what it counts, a remark)."""
    items = [
        f"<div><dt>{escape(noun)}</dt><dd>{escape(number)}<small>{escape(remark)}</small></dd></div>"
        for number, noun, remark in values
    ]
    return f'<dl class="tiles">{"".join(items)}</dl>'


def compact(number: int) -> str:
    """12,345, 1.23 M or 212 M."""
    if number < 1_000_000:
        return f"{number:,}"
    digits = 2 if number < 10_000_000 else 1 if number < 100_000_000 else 0
    return f"{number / 1_000_000:,.{digits}f}\N{NO-BREAK SPACE}M"


def share(part: float, whole: float) -> str:
    """12.3 %, or a dash where there is no whole."""
    return f"{part / whole * 100:.1f} %" if whole else "–"


def _text(cell: Cell) -> str:
    if cell is None:
        return "–"
    return escape(cell) if isinstance(cell, str) else f"{cell:,}"


def _is_number(cell: Cell) -> bool:
    return not isinstance(cell, str) or _NUMBER.fullmatch(cell) is not None


def _class(number: bool, cell: Cell = None) -> str:
    if number:
        return ' class="number"'
    # Only long words may be broken: narrow columns would otherwise break ordinary ones.
    long = isinstance(cell, str) and any(len(word) > _LONG_WORD for word in cell.split())
    return ' class="long"' if long else ""
