"""The chat page in an export (ShareGPT): its HTML becomes Markdown, its labels and buttons go."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

Turns = list[dict[str, str]]

_LOOKS_HTML = re.compile(
    r"^\s*(?:ChatGPT said:\s*)?(?:\d+ / \d+\s*)?(?:<!--[^<>]*-->\s*)*"
    r"<(?:blockquote|button|div|h[1-6]|img|ol|p|pre|span|table|ul)[\s>]"
)
# The tags of the chat page's own Markdown renderer, its buttons and its formulas (MathML's begin with
# an m). A text with any other tag (html, script, form, section …) is somebody's web page.
_RENDERED = re.compile(
    r"a|annotation|b|blockquote|br|button|circle|code|col|colgroup|del|div|em|g|h[1-6]|hr|i|img|input|li|line|m[a-z]+"
    r"|ol|p|path|polyline|pre|rect|s|semantics|span|strong|su[bp]|svg|t(?:able|body|d|foot|h|head|r)|u|ul"
)
_VOID = frozenset({"br", "col", "hr", "img", "input"})
# Bounds and possessive repeats keep the search linear on a text full of open tags and quotes.
_TAG = re.compile(r"""<(/?)([A-Za-z][\w-]*+)((?:[^'"<>]|"[^"]{0,2000}"|'[^']{0,2000}')*+)>""")
_COMMENT = re.compile(r"<!--[^<>]*-->")
# Which of several answers is shown; before an element only, for 3 / 4 may be an answer.
_COUNTER = re.compile(r"\A\s*\d+ / \d+\s*(?=<)")
# Class names of the chat page around an answer or a question, and the head of its code blocks.
_PAGE = re.compile(r"\A\s*(?:<\w+[^<>]*>\s*){0,6}?<div[^<>]*\b(?:markdown prose|whitespace-pre-wrap)\b")
_PAGE_CODE = re.compile(r"<code class=\"[^\"]*(?:hljs|whitespace-pre)|Copy code</")
_ABOUT_MARKUP = re.compile(r"\b(?:x?html\d?|xml|markup|tags?|web ?page)\b|</?(?!p>|br\b)[a-z]", re.IGNORECASE)

_ANSWER_HEAD = re.compile(
    r"\A\s*(?:#{1,6} )?\*{0,2}ChatGPT said:\*{0,2}[ \t]*(?:\n+ChatGPT[ \t]*)?(?:\n+|\Z|(?=<))", re.IGNORECASE
)
_QUESTION_HEAD = re.compile(r"\A\s*(?:#{1,6} )?\*{0,2}You said:\*{0,2}[ \t]*\n+", re.IGNORECASE)
_TAIL = re.compile(
    r"(?:(?:\A|\n)[ \t]*(?:Regenerate response|Share Prompt|Stop generating|ChatGPT can make mistakes\..*"
    r"|Was this response better or worse\?(?:\s*Better\s*Worse\s*Same)?|(?:ChatGPT \w+ \d+ Version\. ?)?"
    r"Free Research Preview\..*)|Copy\d+ chars / \d+ words)\s*\Z"
)
_LANGUAGE = r"[A-Za-z][\w+#.-]{0,19}"
# The page's "Copy code", glued to the language before it and the code after it, or on a line of its own.
_LABEL = rf"(?:(?P<language>{_LANGUAGE})(?:[ \t]*\n[ \t]*)?)?(?:Copy code)+(?! \S|s\b)(?:[ \t]*(?:\n|\Z))?"
_BLOCK_LABEL = re.compile(rf"\A(?:[ \t]*(?P<info>{_LANGUAGE})[ \t]*\n[ \t]*(?=(?P=info)))?\s*{_LABEL}")
_LABELLED = re.compile(
    r"^(?P<fence>[ \t]*(?P<mark>`{3,}|~{3,}))(?P<block>[^`\n]*\n.*?)(?P<end>^[ \t]*(?P=mark)[`~]*[ \t]*$|\Z)"
    rf"|^[ \t]*(?:{_LANGUAGE}[ \t]*\n[ \t]*)?(?:Copy code)+[ \t]*(?:\n|\Z)|^[ \t]*{_LANGUAGE}(?:Copy code)+(?! )\n?",
    re.MULTILINE | re.DOTALL,
)


def from_html(turns: Turns) -> Turns:
    """Converts the turns that are HTML of the chat page.

    A turn with the page's class names is. Without them (bare `<p>…</p>`) it is only if all turns of its
    role are elements from end to end and nobody speaks of markup: an answer may well be HTML itself.

    Raises:
        UnreadableHtml: a turn that can't be parsed.
    """
    if not any(_LOOKS_HTML.match(turn["content"]) for turn in turns):
        return turns
    bodies = [_COUNTER.sub("", _COMMENT.sub("", _ANSWER_HEAD.sub("", turn["content"]))) for turn in turns]
    whole = {index for index, body in enumerate(bodies) if _is_elements(body)}
    html = {index for index, body in enumerate(bodies) if _PAGE.match(body)}
    html |= {index for index in whole if _PAGE_CODE.search(bodies[index])}
    about = any(_ABOUT_MARKUP.search(turn["content"]) for turn in turns if turn["role"] != "assistant")
    for role in ("assistant", "user"):
        of_role = {index for index, turn in enumerate(turns) if turn["role"] == role and turn["content"].strip()}
        if about or not of_role <= whole | html:
            break
        html |= of_role
    return [turn | {"content": _markdown(bodies[index])} if index in html else turn for index, turn in enumerate(turns)]


def _is_elements(text: str) -> bool:
    """Is it made of closed elements of the chat page's renderer, with no text outside them?"""
    opened: list[str] = []
    end = 0
    for tag in _TAG.finditer(text):
        closing, name, attributes = tag[1], tag[2].lower(), tag[3]
        outside = not opened and text[end : tag.start()].strip()
        if outside or not _RENDERED.fullmatch(name):
            return False
        if closing:
            if not opened or opened.pop() != name:
                return False
        elif name not in _VOID and not attributes.endswith("/"):
            opened.append(name)
        end = tag.end()
    return bool(end) and not opened and not text[end:].strip()


def _markdown(html: str) -> str:
    from bs4 import BeautifulSoup
    from bs4.exceptions import ParserRejectedMarkup

    try:
        soup = BeautifulSoup(html, "html.parser")
        for formula in soup.select(".katex:has(annotation)"):
            mark = "$$" if formula.find_parent(class_="katex-display") else "$"
            formula.replace_with(mark + formula.select("annotation")[0].get_text().strip() + mark)
        for part in soup.select("button, svg, .sr-only, img[alt*=avatar i], img[src^='data:']"):
            part.extract()
        for part in soup.select(".whitespace-pre-wrap:not(code, :has(p, pre, ol, ul, table, h1, h2, h3))"):
            part.name = "plain"
        return str(_converter().convert_soup(soup)).strip()
    except (RecursionError, ParserRejectedMarkup) as error:
        raise UnreadableHtml from error


class UnreadableHtml(ValueError):
    """HTML that is broken or nested too deep."""


@cache
def _converter() -> Any:
    from markdownify import ATX, MarkdownConverter

    class PageConverter(MarkdownConverter):
        def convert_pre(self, el: Any, text: str, parent_tags: set[str]) -> str:
            code = el.find("code") or el
            body = code.get_text().strip("\n")
            if not body.strip():
                return ""
            classes = [name.removeprefix("language-") for name in code.get("class", []) if name[:9] == "language-"]
            head = "".join(part for part in el.strings if code not in part.parents).replace("Copy code", "").strip()
            language = classes[0] if classes else head if re.fullmatch(_LANGUAGE, head) else ""
            fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", body)), 3)
            return f"\n\n{fence}{language}\n{body}\n{fence}\n\n"

        def convert_plain(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return f"\n\n{el.get_text()}\n\n"

    return PageConverter(heading_style=ATX, bullets="-", escape_asterisks=False, escape_underscores=False)


def without_page_labels(turns: Turns) -> Turns:
    """Removes what the page puts around a text: "Copy code", "ChatGPT said:", its buttons and notes."""
    # "You said:" is also how people talk; beside "ChatGPT said:" it is the page's.
    copied = any(turn["role"] == "assistant" and _ANSWER_HEAD.match(turn["content"]) for turn in turns)
    return [turn | {"content": _without_labels(turn["role"], turn["content"], copied=copied)} for turn in turns]


def _without_labels(role: str, content: str, *, copied: bool) -> str:
    text = _LABELLED.sub(_without_copy_label, content) if "Copy code" in content else content
    if copied and role != "system":
        text = (_ANSWER_HEAD if role == "assistant" else _QUESTION_HEAD).sub("", text)
    while (shorter := _TAIL.sub("", text)) != text:
        text = shorter.rstrip()
    # Someone may type just "Regenerate response", and it is answered.
    return text if role == "assistant" or text.strip() else content


def _without_copy_label(match: re.Match[str]) -> str:
    """A code block without its label; the language goes to the fence. A label outside a block is removed."""
    if not match["fence"]:
        return ""
    label = _BLOCK_LABEL.match(match["block"])
    if not label:
        return match[0]
    return f"{match['fence']}{label['language'] or ''}\n{match['block'][label.end() :]}{match['end']}"
