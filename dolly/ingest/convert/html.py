"""HTML → Markdown: the text that a reader sees, without what the page needs to work."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bs4 import BeautifulSoup
from bs4.element import Comment, Declaration, Doctype, ProcessingInstruction, Tag
from markdownify import MarkdownConverter

from dolly.ingest.convert.plain import decoded

_REMOVED = [
    *("script", "style", "nav", "footer", "aside", "form", "noscript", "template", "iframe"),
    *("head", "svg", "math", "object", "embed", "button", "select", "input", "dialog", "canvas", "audio", "video"),
]
_NO_TEXT = (Comment, Declaration, Doctype, ProcessingInstruction)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_BAR = re.compile(r"(?<!\\)\|")
_CHARSET = re.compile(rb"<meta\b[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_DECLARED = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})", re.IGNORECASE)
_HEAD = 4_096
_LANGUAGE = re.compile(r"(?:language|lang|highlight-source|brush:)[-_ ]?([\w+#-]{1,30})")
_SCHEMES = ("", "http", "https", "mailto")
_LONGEST_TITLE = 300
# Encodings that a page may name; others, such as Python's own, are no character sets.
_LATIN = ("ascii", "us-ascii", "iso-8859-1", "iso8859-1", "latin1", "latin-1", "windows-1252", "cp1252")
_CHARSETS = re.compile(
    r"utf-?8|iso-?8859-\d{1,2}|windows-125\d|cp125\d|koi8-[ru]|shift[_-]jis|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5"
    r"|iso-2022-jp|macintosh"
)


def convert_html(content: bytes) -> tuple[str, str]:
    """(Markdown, title or '').

    Raises:
        Refused: not_utf8_file, binary_file.
    """
    return html_markdown(decoded(content, _encoding(content)))


def html_markdown(text: str) -> tuple[str, str]:
    """HTML text as (Markdown, title or '')."""
    soup = BeautifulSoup(text, "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    _clean(soup)
    return _CONVERTER.convert_soup(soup), title[:_LONGEST_TITLE]


def _encoding(content: bytes) -> str:
    """The character set that the page names, as browsers understand it (WHATWG Encoding), else UTF-8."""
    match = _CHARSET.search(content[:_HEAD]) or _DECLARED.match(content[:_HEAD])
    name = match.group(1).decode("ascii", "replace").lower() if match else ""
    if name in _LATIN:
        return "cp1252"
    return name if _CHARSETS.fullmatch(name) else "utf-8"


def _clean(soup: BeautifulSoup) -> None:
    for tag in soup.find_all(_REMOVED):
        tag.decompose()
    for tag in soup.find_all(_is_hidden):
        if not tag.decomposed:
            tag.decompose()
    for text in soup.find_all(string=lambda node: isinstance(node, _NO_TEXT)):
        text.extract()
    for cell in soup.find_all(["td", "th"]):
        for bar in cell.find_all(string=_BAR):
            bar.replace_with(_BAR.sub(r"\\|", bar))
    for image in soup.find_all("img"):
        image.replace_with(str(image.get("alt") or ""))
    for link in soup.find_all("a"):
        if not _kept_target(str(link.get("href") or "")):
            link.unwrap()


def _is_hidden(tag: Tag) -> bool:
    return tag.has_attr("hidden") or bool(_HIDDEN.search(str(tag.get("style") or "")))


def _kept_target(target: str) -> bool:
    # Browsers skip control characters and spaces in "java\nscript:".
    target = re.sub(r"[\x00-\x20]", "", target)
    try:
        return bool(target) and not target.startswith("#") and urlsplit(target).scheme.lower() in _SCHEMES
    except ValueError:
        return False


def _code_language(block: Tag) -> str:
    for tag in (block, *block.find_all("code", limit=1), block.parent):
        if tag is None:
            continue
        for name in tag.get_attribute_list("class"):
            if match := _LANGUAGE.match(name or ""):
                return match.group(1)
    return ""


_CONVERTER = MarkdownConverter(
    heading_style="ATX",
    bullets="-",
    autolinks=False,
    escape_asterisks=False,
    escape_underscores=False,
    table_infer_header=True,
    code_language_callback=_code_language,
)
