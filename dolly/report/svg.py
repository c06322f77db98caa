"""A matplotlib figure as inline SVG with a description; the output is deterministic."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_SETTINGS = {
    # Ids are random otherwise.
    "svg.hashsalt": "dolly",
    # Text is not drawn as paths: a tenth of the size, and it can be searched, read aloud and copied.
    "svg.fonttype": "none",
    # A label from data may hold a dollar sign, and must never be read as TeX.
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 9.0,
    "text.color": "#243240",
    "axes.labelcolor": "#52616f",
    "axes.edgecolor": "#c3ccd5",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": "#52616f",
    "ytick.color": "#243240",
    "grid.color": "#e6eaee",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """Yields a figure of a size in inches, independent of the user's matplotlib settings."""
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", _SETTINGS]), warnings.catch_warnings():
        # The browser has fonts for characters that matplotlib's font lacks.
        warnings.simplefilter("ignore", UserWarning)
        yield Figure(figsize=(width, height), layout="constrained")


def inline(figure: Figure, *, name: str, title: str, description: str) -> str:
    """Returns the figure as an `svg` element; call it inside `drawing`.

    Args:
        figure: the figure.
        name: id on the page; ids inside the figure begin with it.
        title: short title.
        description: the content in words, for screen readers.
    """
    target = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(target, format="svg", metadata=nothing)
    root = ElementTree.fromstring(target.getvalue())
    _plain(root)
    _own_ids(root, name)
    root.attrib.pop("version", None)
    # The page determines the width.
    width = float(root.attrib.pop("width").removesuffix("pt"))
    root.attrib.pop("height")
    root.set("style", f"max-width:{width * 4 / 3:.0f}px")
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-description")
    for index, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{'description' if index else 'title'}"})
        element.text = text
        root.insert(index, element)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _plain(root: ElementTree.Element) -> None:
    """Removes metadata, and the style element, which would apply to the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style") or (
                len(child) == 0 and child.tag.endswith("}g")
            ):
                parent.remove(child)


def _own_ids(root: ElementTree.Element, name: str) -> None:
    """Prefixes referenced ids with the figure's name and removes all others: several figures share a page."""
    link = f"{{{_XLINK}}}href"
    used: set[str] = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == link:
                used.add(value.removeprefix("#"))
                element.set(key, f"#{name}-{value.removeprefix('#')}")
            elif "url(#" in value:
                used.update(re.findall(r"url\(#([^)]+)\)", value))
                element.set(key, value.replace("url(#", f"url(#{name}-"))
    for element in root.iter():
        element_id = element.attrib.pop("id", None)
        if element_id in used:
            element.set("id", f"{name}-{element_id}")
