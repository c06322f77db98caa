"""What a PDF repeats on its pages: running heads and feet, page numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from dolly.ingest.convert.pdf.layout import Page, Segment

_LEAST_PAGES = 4
_MOST_PAGES_SHARE = 0.4  # left and right pages may have different heads
_MARGIN = 0.15  # of the page's height, at the top and at the bottom
_NEAR = 6.0  # points
_DIGITS = re.compile(r"\d+")
_ROMAN = re.compile(r"[ivxlc]{1,7}")
_PAGE_NUMBER = re.compile(r"\W*(?:page|seite|p\.)?\s*(\d{1,4})(?:\s*(?:of|von|/|\|)\s*\d{1,4})?\W*", re.IGNORECASE)

_Key = tuple[str, int]


def without_furniture(pages: list[Page]) -> tuple[list[Page], int]:
    """Removes the lines that most pages repeat at the same height, and the page numbers.

    Args:
        pages: all pages of the document.

    Returns:
        The pages without them, and how many segments were removed.
    """
    gone = _page_numbers(pages)
    if len(pages) >= _LEAST_PAGES:
        edges = [_margins(page) for page in pages]
        gone |= _repeated(edges)
        gone |= _beside_numbers(edges, gone)
    kept: list[Page] = []
    for page in pages:
        segments = [one for one in page.segments if id(one) not in gone]
        # A page of nothing else is a form letter; with a picture on it, it is a stamped scan.
        kept.append(page._replace(segments=segments) if segments or page.image else page)
    removed = sum(len(page.segments) for page in pages) - sum(len(page.segments) for page in kept)
    return kept, removed


def _margins(page: Page) -> list[Segment]:
    """What stands in the page's margins, the lowest first."""
    depth = _MARGIN * (page.y1 - page.y0)
    low, high = page.y0 + depth, page.y1 - depth
    outer = [one for one in page.segments if one.words and (one.y0 < low or one.y1 > high)]
    return sorted(outer, key=lambda segment: segment.y0)


def _repeated(edges: list[list[Segment]]) -> set[int]:
    least = max(3, _MOST_PAGES_SHARE * len(edges))
    return _frequent(edges, _without_numbers, least)


def _beside_numbers(edges: list[list[Segment]], gone: set[int]) -> set[int]:
    """What stands in one line with a page number: the chapter's name."""
    return {
        id(segment)
        for page in edges
        for number in page
        if id(number) in gone and _without_numbers(number) == "#"
        for segment in page
        if min(segment.y1, number.y1) - max(segment.y0, number.y0) > 0.5 * (number.y1 - number.y0)
    }


def _without_numbers(segment: Segment) -> str:
    text = segment.text.casefold()
    return "#" if _ROMAN.fullmatch(text) else _DIGITS.sub("#", text)


def _page_numbers(pages: list[Page]) -> set[int]:
    """The lowest line of each page if all of them count on, page by page."""
    lowest = [_lowest(page) for page in pages]
    numbers = [_PAGE_NUMBER.fullmatch(segment.text) if segment else None for segment in lowest]
    counted = [int(match.group(1)) for match in numbers if match]
    if len(counted) < len(pages) or counted != list(range(counted[0], counted[0] + len(counted))):
        return set()
    return set() if counted in ([], [0]) or (len(counted) == 1 and counted != [1]) else set(map(id, lowest))


def _lowest(page: Page) -> Segment | None:
    """The segment below all others."""
    if not page.segments:
        return None
    low = min(page.segments, key=lambda segment: segment.y0)
    return low if all(one is low or one.y0 >= low.y1 for one in page.segments) else None


def _frequent(edges: list[list[Segment]], name: Callable[[Segment], str], least: float) -> set[int]:
    """Segments with a name that occurs at the same height on at least `least` pages."""
    pages: Counter[_Key] = Counter()
    for page in edges:
        pages.update({key for segment in page for key in _keys(segment, name)})
    return {
        id(segment) for page in edges for segment in page if any(pages[key] >= least for key in _keys(segment, name))
    }


def _keys(segment: Segment, name: Callable[[Segment], str]) -> tuple[_Key, _Key]:
    # Two grids, shifted by half a step, so that no pair of near heights is cut apart in both.
    text = name(segment)
    return (text, round(segment.y0 / _NEAR) * 2), (text, round(segment.y0 / _NEAR + 0.5) * 2 + 1)
