"""Text and Markdown files: decoded, line ends made equal, front matter taken off."""

from __future__ import annotations

import re

import yaml

from dolly.ingest.byte_order import BYTE_ORDER_MARKS
from dolly.ingest.convert.result import Refused

_CONTROLS = re.compile("[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_MOST_CONTROLS = 0.01
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_LONGEST_FRONT_MATTER = 20_000
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
_SETEXT = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*")
_LONGEST_TITLE = 300


def decoded(content: bytes, encoding: str = "utf-8") -> str:
    """The text of a file, with `\\n` as the only line end.

    Args:
        content: the file.
        encoding: the encoding if there is no byte order mark.

    Raises:
        Refused: not_utf8_file with the position of the first bad byte, binary_file.
    """
    for mark, name in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            content, encoding = content[len(mark) :], name
            break
    else:
        if content[:64].count(b"\0") > 8:
            raise Refused("not_utf8_file", "looks like UTF-16 or UTF-32 without a byte order mark")
        if (position := content.find(b"\0")) >= 0:
            raise Refused("binary_file", f"a zero byte at byte {position}")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Refused("not_utf8_file", f"byte {error.start} is not {error.encoding}") from None
    if (position := text.find("\0")) >= 0:
        raise Refused("binary_file", f"a zero character at character {position}")
    if len(_CONTROLS.findall(text)) > _MOST_CONTROLS * len(text):
        raise Refused("binary_file", "more control characters than a text has")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def markdown_file(text: str) -> tuple[str, str]:
    """(Markdown without its front matter, title or '')."""
    title = None
    match = _FRONT_MATTER.match(text, 0, _LONGEST_FRONT_MATTER)
    if match and (title := _front_matter_title(match.group(1))) is not None:
        text = text[match.end() :].lstrip("\n")
    return text, title or first_heading(text)


def _front_matter_title(block: str) -> str | None:
    """The title, '' for none, or None if the block is no front matter.

    The nodes are only composed, never constructed: aliases and tags of a hostile file then cost nothing.
    """
    try:
        root = yaml.compose(block, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if root is None and not block.strip():
        return ""
    if not isinstance(root, yaml.MappingNode):
        return None
    for key, value in root.value:
        if isinstance(value, yaml.ScalarNode) and str(key.value).lower() == "title":
            return " ".join(value.value.split())[:_LONGEST_TITLE]
    return ""


def first_heading(text: str) -> str:
    """The first heading of a Markdown text outside its code, else ''."""
    fence, before = "", ""
    for line in text.split("\n"):
        if match := _FENCE.match(line):
            mark = match.group(1)
            if not fence:
                fence = mark
            elif mark[0] == fence[0] and len(mark) >= len(fence):
                fence = ""
            before = ""
            continue
        if fence:
            continue
        if (match := _ATX.fullmatch(line)) and match.group(1):
            return match.group(1).strip()[:_LONGEST_TITLE]
        if before and _SETEXT.fullmatch(line):
            return before[:_LONGEST_TITLE]
        before = line.strip() if not line.startswith(("    ", "\t", ">", "|", "-", "*")) else ""
    return ""
