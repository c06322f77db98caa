"""ODT → HTML: a walk over the document's text that keeps headings, lists, tables, notes and emphasis.

A spreadsheet-like repeat count in the file is bounded, and deleted text, comments, forms and indexes are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from xml.etree.ElementTree import Element

_NS = {
    "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
    "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
    "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
    "style": "urn:oasis:names:tc:opendocument:xmlns:style:1.0",
    "fo": "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0",
    "draw": "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0",
    "xlink": "http://www.w3.org/1999/xlink",
}
_MOST_REPEATED = 64
_TITLES = {"Title": "h1", "Subtitle": "p", "Quotations": "blockquote", "Preformatted_20_Text": "pre"}


def _q(name: str) -> str:
    prefix, local = name.split(":")
    return f"{{{_NS[prefix]}}}{local}"


_SKIPPED = {
    _q(name)
    for name in (
        *("office:annotation", "office:annotation-end", "office:forms", "text:tracked-changes", "text:sequence-decls"),
        *("text:table-of-content", "text:alphabetical-index", "text:variable-decls", "text:user-field-decls"),
        *(
            "draw:image",
            "draw:object",
            "draw:object-ole",
            "draw:plugin",
            "table:table-column",
            "table:covered-table-cell",
        ),
    )
}


def odt_html(content: Element, styles: Element | None) -> str:
    """The document's text as HTML.

    Args:
        content: root of `content.xml`.
        styles: root of `styles.xml`, if there is one.
    """
    body = content.find("office:body/office:text", _NS)
    if body is None:
        return ""
    walk = _Walk([root for root in (styles, content) if root is not None])
    text = walk.children(body)
    return text + "".join(f"<p>[{number}] {note}</p>" for number, note in walk.notes)


class _Walk:
    def __init__(self, roots: list[Element]) -> None:
        self.notes: list[tuple[str, str]] = []
        self._parents: dict[str, str] = {}
        self._marks: dict[str, list[str]] = {}
        self._ordered: set[str] = set()
        for root in roots:
            self._read_styles(root)
        self._handlers: dict[str, Callable[[Element], str]] = {
            _q("text:h"): self._heading,
            _q("text:p"): self._paragraph,
            _q("text:span"): self._span,
            _q("text:a"): self._link,
            _q("text:s"): lambda element: " " * _count(element, "text:c"),
            _q("text:tab"): lambda _: " ",
            _q("text:line-break"): lambda _: "<br>",
            _q("text:note"): self._note,
            _q("text:list"): self._list,
            _q("text:list-item"): self._item,
            _q("text:list-header"): self._item,
            _q("table:table"): lambda element: f"<table>{self.children(element)}</table>",
            _q("table:table-header-rows"): lambda element: f"<thead>{self.children(element)}</thead>",
            _q("table:table-row"): self._row,
            _q("table:table-cell"): self._cell,
        }

    def _read_styles(self, root: Element) -> None:
        for style in root.iter(_q("style:style")):
            name = style.get(_q("style:name"), "")
            self._parents[name] = style.get(_q("style:parent-style-name"), "")
            properties = style.find("style:text-properties", _NS)
            if style.get(_q("style:family")) == "text" and properties is not None:
                bold = properties.get(_q("fo:font-weight")) == "bold"
                italic = properties.get(_q("fo:font-style")) == "italic"
                self._marks[name] = ["strong"] * bold + ["em"] * italic
        for style in root.iter(_q("text:list-style")):
            first = next(iter(style), None)
            if first is not None and first.tag == _q("text:list-level-style-number"):
                self._ordered.add(style.get(_q("style:name"), ""))

    def children(self, element: Element) -> str:
        """The text of all that the element holds."""
        parts = [escape(element.text or "")]
        for child in element:
            parts += self._child(child), escape(child.tail or "")
        return "".join(parts)

    def _child(self, child: Element) -> str:
        return "" if child.tag in _SKIPPED else self._handlers.get(child.tag, self.children)(child)

    def _heading(self, element: Element) -> str:
        level = min(6, _count(element, "text:outline-level"))
        return f"<h{level}>{self.children(element)}</h{level}>"

    def _paragraph(self, element: Element) -> str:
        name = element.get(_q("text:style-name"), "")
        for _ in range(len(self._parents) + 1):  # a style may name itself as its parent
            if name in _TITLES or not name:
                break
            name = self._parents.get(name, "")
        tag = _TITLES.get(name, "p")
        return f"<{tag}>{self.children(element)}</{tag}>"

    def _span(self, element: Element) -> str:
        text = self.children(element)
        for mark in self._marks.get(element.get(_q("text:style-name"), ""), []):
            text = f"<{mark}>{text}</{mark}>"
        return text

    def _link(self, element: Element) -> str:
        return f'<a href="{escape(element.get(_q("xlink:href"), ""))}">{self.children(element)}</a>'

    def _note(self, element: Element) -> str:
        citation, body = element.find("text:note-citation", _NS), element.find("text:note-body", _NS)
        number = escape("".join(citation.itertext())) if citation is not None else "*"
        if body is not None:
            self.notes.append((number, " ".join(self.children(part) for part in body)))
        return f"[{number}]"

    def _list(self, element: Element) -> str:
        tag = "ol" if element.get(_q("text:style-name"), "") in self._ordered else "ul"
        return f"<{tag}>{self.children(element)}</{tag}>"

    def _item(self, element: Element) -> str:
        # Its first paragraph goes without a tag: with one, Markdown would set the list apart with empty lines.
        first, *rest = list(element) or [element]
        text = self.children(first if first.tag == _q("text:p") else element)
        if first.tag == _q("text:p"):
            text += "".join(map(self._child, rest))
        return f"<li>{text}</li>"

    def _row(self, element: Element) -> str:
        return f"<tr>{self.children(element)}</tr>"

    def _cell(self, element: Element) -> str:
        span = _count(element, "table:number-columns-spanned")
        return f'<td colspan="{span}">{self.children(element)}</td>' * _count(element, "table:number-columns-repeated")


def _count(element: Element, attribute: str) -> int:
    value = element.get(_q(attribute), "1")
    return min(int(value), _MOST_REPEATED) if value.isdecimal() and len(value) < 9 and int(value) else 1
