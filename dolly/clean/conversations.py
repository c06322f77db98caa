"""A record of a chat export (ShareGPT) → clean turns: Markdown, and user and assistant in turn.

The rules began with what FastChat's `clean_sharegpt` does for Vicuna (Chiang et al. 2023). They differ
where that loses data: a conversation with one odd turn is mended, not dropped, and text that only
speaks of HTML or of the chat page's buttons stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

Turns = list[dict[str, str]]


class Cleaned(NamedTuple):
    """Clean `turns` and the `fixes` that changed them, or the `rule` that ends the row and what it found."""

    turns: Turns
    fixes: list[str]
    rule: str | None
    detail: str


RULES = {
    "unknown_role": "a turn's role is not system, user or assistant",
    "unreadable_html": "the export's HTML is broken or nested too deep",
    "no_complete_round": "no question that is followed by an answer",
}
_ROLES = ("system", "user", "assistant")

LOOKS_HTML = (
    r"^\s*(?:ChatGPT said:\s*)?(?:\d+ / \d+\s*)?(?:<!--[^<>]*-->\s*)*"
    r"<(?:blockquote|button|div|h[1-6]|img|ol|p|pre|span|table|ul)[\s>]"
)
"""Finds contents that may be an export's HTML; a pattern for Java, RE2 and Python alike."""
_LOOKS_HTML = re.compile(LOOKS_HTML)
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


def clean_turns(turns: Turns) -> Cleaned:
    """Cleans a conversation of `role` (system, user, assistant) and `content`; `turns` itself stays as it is.

    No complete round is lost. Where a rule ends the row, its turns come back as they came.
    """
    unknown = {str(turn.get("role")) for turn in turns}.difference(_ROLES)
    if unknown:
        return Cleaned(turns, [], "unknown_role", ", ".join(sorted(unknown)))
    kept = [{"role": turn["role"], "content": turn.get("content") or ""} for turn in turns]
    found = " | ".join(f"{turn['role']}: {turn['content'][:80]}" for turn in kept[:5])
    fixes = []
    for name, (step, _) in _STEPS.items():
        before = kept
        try:
            kept = step(before)
        except _UnreadableHtml:
            return Cleaned(turns, [], "unreadable_html", found)
        if kept != before:
            fixes.append(name)
    if any(turn["role"] == "assistant" for turn in kept):
        return Cleaned(kept, fixes, None, "")
    return Cleaned(turns, [], "no_complete_round", found)


def with_clean_turns(frame: DataFrame) -> DataFrame:
    """Cleans `turns`; adds or extends `fixes`, and `rule` and `detail` for a row that a rule ends.

    A row that has a rule already passes as it is; other columns pass through.
    """
    from pyspark.sql.types import ArrayType, StringType, StructField, StructType

    added = {"fixes": ArrayType(StringType()), "rule": StringType(), "detail": StringType()}
    new = [StructField(name, kind) for name, kind in added.items() if name not in frame.columns]
    return frame.mapInArrow(_clean_batches, StructType([*frame.schema.fields, *new]))


def _clean_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        none = pa.nulls(batch.num_rows)
        old = [columns.get(name, none).to_pylist() for name in ("turns", "fixes", "rule", "detail")]
        rows = [_clean_row(*row) for row in zip(*old, strict=True)]
        types = {"turns": columns["turns"].type, "fixes": pa.list_(pa.string())}
        for place, name in enumerate(("turns", "fixes", "rule", "detail")):
            columns[name] = pa.array([row[place] for row in rows], types.get(name, pa.string()))
        yield pa.RecordBatch.from_pydict(columns)


def _clean_row(turns: Turns | None, fixes: list[str] | None, rule: str | None, detail: str | None) -> tuple[Any, ...]:
    if rule is not None:
        return turns, fixes or [], rule, detail
    cleaned = clean_turns([turn or {} for turn in turns or []])
    return cleaned.turns, [*(fixes or []), *cleaned.fixes], cleaned.rule, cleaned.detail or detail


def _from_html(turns: Turns) -> Turns:
    """Converts the turns that are HTML of the chat page.

    A turn with the page's class names is. Without them (bare `<p>…</p>`) it is only if all turns of its
    role are elements from end to end and nobody speaks of markup: an answer may well be HTML itself.
    """
    if not any(_LOOKS_HTML.match(turn["content"]) for turn in turns):
        return turns
    bodies = [_COUNTER.sub("", _COMMENT.sub("", _ANSWER_HEAD.sub("", turn["content"]))) for turn in turns]
    whole = {place for place, body in enumerate(bodies) if _is_elements(body)}
    html = {place for place, body in enumerate(bodies) if _PAGE.match(body)}
    html |= {place for place in whole if _PAGE_CODE.search(bodies[place])}
    about = any(_ABOUT_MARKUP.search(turn["content"]) for turn in turns if turn["role"] != "assistant")
    for role in ("assistant", "user"):
        of_role = {place for place, turn in enumerate(turns) if turn["role"] == role and turn["content"].strip()}
        if about or not of_role <= whole | html:
            break
        html |= of_role
    return [turn | {"content": _markdown(bodies[place])} if place in html else turn for place, turn in enumerate(turns)]


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
        raise _UnreadableHtml from error


class _UnreadableHtml(ValueError):
    pass


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


def _without_page_labels(turns: Turns) -> Turns:
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


def _without_copy_label(found: re.Match[str]) -> str:
    """A code block without its label, whose language goes to the fence; nothing for a label outside of one."""
    if not found["fence"]:
        return ""
    label = _BLOCK_LABEL.match(found["block"])
    if not label:
        return found[0]
    return f"{found['fence']}{label['language'] or ''}\n{found['block'][label.end() :]}{found['end']}"


def _without_empty(turns: Turns) -> Turns:
    return [turn for turn in turns if turn["content"].strip("\u200b\ufeff \t\r\n\u00a0")]


def _without_leading_answers(turns: Turns) -> Turns:
    first = next((place for place, turn in enumerate(turns) if turn["role"] == "user"), len(turns))
    return [turn for place, turn in enumerate(turns) if place > first or turn["role"] != "assistant"]


def _without_late_system(turns: Turns) -> Turns:
    first = next((place for place, turn in enumerate(turns) if turn["role"] == "user"), len(turns))
    return [turn for place, turn in enumerate(turns) if place < first or turn["role"] != "system"]


def _merged(turns: Turns) -> Turns:
    merged: Turns = []
    for turn in turns:
        if merged and merged[-1]["role"] == turn["role"]:
            content = merged[-1]["content"].rstrip() + "\n\n" + turn["content"].lstrip("\r\n")
            merged[-1] = turn | {"content": content}
        else:
            merged.append(turn)
    return merged


def _without_unanswered(turns: Turns) -> Turns:
    return turns[:-1] if turns and turns[-1]["role"] == "user" else turns


_STEPS: dict[str, tuple[Callable[[Turns], Turns], str]] = {
    "html_to_markdown": (_from_html, "HTML of the export became Markdown"),
    "page_labels_removed": (_without_page_labels, "labels and buttons of the chat page were removed"),
    "empty_turn_removed": (_without_empty, "a turn without text was removed"),
    "leading_answer_removed": (_without_leading_answers, "an answer before the first question was removed"),
    "late_system_turn_removed": (_without_late_system, "a system turn after the first question was removed"),
    "turns_merged": (_merged, "turns of the same speaker in a row were joined"),
    "unanswered_question_removed": (_without_unanswered, "a question at the end without an answer was removed"),
}
FIXES = {name: reason for name, (_, reason) in _STEPS.items()}
