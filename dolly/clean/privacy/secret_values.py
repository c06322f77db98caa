"""Secrets that a word before them names: `password = …`, "the password for … is …", `"api_key": "…"`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dolly.clean.privacy.placeholders import is_key_like, is_password_like, is_placeholder
from dolly.clean.privacy.secret_formats import secret
from dolly.clean.privacy.secret_words import PASSWORD, secret_words
from dolly.clean.privacy.span import Span

_VALUE = (
    r"(?:(?P<quote>\\?[\"'`]|[\u201c\u201e\u00ab\u2018])(?P<inside>[^\"'`\n\\\u201c\u201d\u00bb\u2019]{3,200})"
    r"(?:\\?[\"'`]|[\u201c\u201d\u00bb\u2019])"
    r"|(?P<bare>[^\s\"'`\u201c\u201d]{3,400}))"
)
_ASSIGNED = re.compile(
    r"(?: \([^)\n]{1,30}\))?[\"'`\]\\)*_]{0,4}"
    r"(?P<sign>[ \t]*(?:=>|:=|->|={1,3}|[:\uff1a])[*_]{0,3}[ \t]*@?"
    r"|[ \t]*\|[ \t]*|[ \t]+value[ \t]*=[ \t]*|>|[\"'],[ \t]*(?=[\"']))"
    rf"(?P<line>\n[ \t]*)?[*]{{0,2}}{_VALUE}"
)
_ADJACENT = re.compile(
    rf"(?:['\u2019]s)?[\"'`)*]{{0,2}}(?P<sign>[ \t]+)(?:[-\u2013\u2014][ \t]+|\()?[*]{{0,2}}{_VALUE}"
)
_CHANGED = re.compile(r" from [\"'`]?(?P<old>[^\s\"'`]{4,60})[\"'`]? to [\"'`]?(?P<new>[^\s\"'`]{4,60})")
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)|\n")
_REACH = 110  # characters from the word to a value in the same sentence
_CONNECTOR = re.compile(
    r"(?i)(?P<sign> (?:is|was|are|will be|remains|ist|lautet|est|es|\u00e9|\u00e8|jest|\u00e4r|er|on"
    r"|(?:set|changed?|reset|updated|rotated|switched)(?: back)? to|=)"
    r"(?: (?:now|still|currently|simply|set to|changed to|reset to))?:?"
    rf"|:)[ \t]+[*]{{0,2}}{_VALUE}"
)
_ABOUT = re.compile(r"[\"'`*)]{0,2},? (?:for|to|of|on|at|in|f\u00fcr|zum|zur|de|para|pour|du|voor|per)\b")
_SET = re.compile(r"(?i)\b(?:set|chang|reset|updat|rotat|switch)\w*[^\n.]{0,40}$")
_BACKWARDS = re.compile(
    rf"(?i)(?<=[\s(\"'`]){_VALUE},? (?:as|is) (?:(?:the|my|our|your|his|her|a|its) )?"
    rf"(?:\w+ ){{0,2}}?(?:{PASSWORD})(?![A-Za-z])"
)
_LINK = re.compile(r"(?i) (?:as|is) (?:\w+ ){0,3}$")
_CLAUSE_ENDS = re.compile(r"[\"'`*_]{0,3}[ \t]*(?:$|[\n,;)|.\]}<&/]|(?:and|or|und|et|y)\b)")
_ATTRIBUTE = re.compile(r"[A-Za-z-]+=")
_DIGITS = re.compile(r"[0-9]{4,8}|[0-9]{3}[- ][0-9]{3}")


def named_secrets(text: str) -> Iterator[Span]:
    """Values of passwords, keys, tokens and PINs in configs and sentences; no placeholders, no variables."""
    for key in secret_words(text):
        kind = key.lastgroup or ""
        bounds = _after(text, key.end(), kind)
        if bounds:
            yield secret(*bounds, text)
        if kind == "password" and (changed := _CHANGED.match(text, key.end())):
            for start, end in (changed.span("old"), changed.span("new")):
                value = text[start:end].rstrip(".,;)")
                if is_password_like(value) and not is_placeholder(value, quoted=False):
                    yield secret(start, start + len(value), text)
        if kind == "password" and _LINK.search(text[max(0, key.start() - 40) : key.start()]):
            for match in _BACKWARDS.finditer(text, max(0, key.start() - 90), key.end()):
                start, end = _bounds(match)
                if match.end() == key.end() and is_password_like(text[start:end]) and _is_open(match, text, start, end):
                    yield secret(start, end, text)


def _after(text: str, at: int, kind: str) -> tuple[int, int] | None:
    """Start and end of the value of the key that ends at `at`."""
    if match := _ASSIGNED.match(text, at):
        start, end = _bounds(match)
        return (start, end) if _is_assigned(match, text, start, end, kind) else None
    if kind == "short":
        return None
    adjacent = _ADJACENT.match(text, at)
    if adjacent and kind != "machine" and _is_said(adjacent, text, kind):
        return _bounds(adjacent)
    if kind == "password" and text.startswith(" to ", at) and _SET.search(text[max(0, at - 60) : at]):
        changed = _ADJACENT.match(text, at + 3)
        return _bounds(changed) if changed and _is_said(changed, text, kind) else None
    stop = _SENTENCE_END.search(text, at, at + _REACH)
    for connector in _CONNECTOR.finditer(text, at, stop.start() + 1 if stop else at + _REACH):
        # The end of the sentence would cut "Winter.2024", so the value is matched again without that limit.
        match = _CONNECTOR.match(text, connector.start())
        if match and (match["sign"] != ":" or _ABOUT.match(text, at)) and _is_said(match, text, kind):
            return _bounds(match)
    return None


def _bounds(match: re.Match[str]) -> tuple[int, int]:
    """Start and end of the value; an unquoted one without what belongs to the sentence or the config line."""
    if match["quote"]:
        return match.span("inside")
    start, value = match.start("bare"), match["bare"]
    value = re.split(r";|&(?=\w+=)|&amp;|</|\\n|\\r|,(?=[\w\"'.-]+[=:])|\|", value, maxsplit=1)[0]
    before = ""
    while before != value:
        before = value
        value = value.rstrip(".,:*_" if not value.endswith("__") else ".,:*")
        for opening, closing in ("()", "[]", "{}", "<>"):
            if value.endswith(closing) and value.count(closing) > value.count(opening):
                value = value[:-1]
        if value.endswith("?"):
            value = value[:-1]
    return start, start + len(value)


def _is_open(match: re.Match[str], text: str, start: int, end: int) -> bool:
    return end - start > 2 and not is_placeholder(text[start:end], quoted=bool(match["quote"]))


def _is_assigned(match: re.Match[str], text: str, start: int, end: int, kind: str) -> bool:
    value, quoted, sign = text[start:end], bool(match["quote"]), match["sign"].strip()
    if not _is_open(match, text, start, end):
        return False
    if kind == "code":
        return _DIGITS.fullmatch(value) is not None
    if kind == "machine":
        return is_key_like(value) or (len(value) >= 6 and is_password_like(value) and not match["line"])
    if match["line"] or sign in ("|", ">"):
        return is_password_like(value) and _CLAUSE_ENDS.match(text, end) is not None
    if is_password_like(value) or (quoted and len(value) >= 4 and sign != '",'):
        return not re.fullmatch(r"[A-Z][a-z]+(?: [a-z]+)+[.!?]?", value)
    if sign == "=" and not match["sign"].endswith((" ", "\t")):
        return len(value) >= 4
    return kind != "short" and len(value) >= 4 and not _is_number(value) and _CLAUSE_ENDS.match(text, end) is not None


def _is_number(value: str) -> bool:
    return len(value) < 5 and value.isdigit()


def _is_said(match: re.Match[str], text: str, kind: str) -> bool:
    start, end = _bounds(match)
    value, quoted = text[start:end], bool(match["quote"])
    if not _is_open(match, text, start, end) or _ATTRIBUTE.fullmatch(value):
        return False
    if kind == "code":
        # "PIN 110001" is a postal code in India.
        return _DIGITS.fullmatch(value) is not None and (
            bool(match["sign"].strip()) or not text.endswith("PIN", 0, match.start()) or len(value) < 6
        )
    if kind == "machine":
        return is_key_like(value)
    if quoted and match["sign"].strip():
        return len(value) >= 4 and " " not in value
    digits = value.isdigit() and len(value) >= 4 and bool(match["sign"].strip()) and _CLAUSE_ENDS.match(text, end)
    return is_password_like(value) or bool(digits)
