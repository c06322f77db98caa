"""Secrets that are recognised by their position: the user part of a URL, a header, an option of a command."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dolly.clean.privacy.placeholders import is_key_like, is_password_like, is_placeholder
from dolly.clean.privacy.secret_formats import secret
from dolly.clean.privacy.span import Span

_IN_URL = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{1,30}://(?:[^\s/:@\"'<>]*:(?P<value>[^\s/\"'<>]{3,})|(?P<user>[\w-]{16,}))@(?=[\w.\[$%{-])"
)
_HEADER = re.compile(
    r"(?i)(?<![a-z])(?:bearer[ \t]+|authorization[\"']?[ \t]*[:=][ \t]*[\"']?(?:basic|token|apikey)[ \t]+)"
    r"(?P<value>[\w+/=.~-]{8,})"
)
_QUOTE = r"[\"']?"
_OPTION = re.compile(
    r"(?:(?<![\w-])--?(?:password|passwd|pass|passphrase|pwd|token|api-?key|secret|secret-key|auth-token)"
    rf"[ \t]+{_QUOTE}"
    rf"|\bmysql\w*\b[^\n|;]{{0,80}}? -p{_QUOTE}|\bsshpass[ \t]+-p[ \t]?{_QUOTE}"
    rf"|\b(?:docker|podman|helm|az|oc|npm)\b[^\n|;]{{0,20}}\blogin\b[^\n|;]{{0,80}}? -p[ \t]+{_QUOTE}"
    rf"|\bredis-cli\b[^\n|;]{{0,60}}? -a[ \t]+{_QUOTE}"
    rf"|\bcurl\b[^\n|;]{{0,200}}? (?:-u|--user)(?:[ \t]*|=){_QUOTE}[\w.@-]{{1,60}}:)"
    r"(?P<value>[^\s\"'`|]{3,200})"
)
_PAIR = re.compile(
    r"(?i)(?<![a-z])(?:(?:log-?ins?|logon|credentials?|creds|zugangsdaten|identifiants)\b"
    r"[^\n]{0,40}?[:\s][ \t]*[\"'`(]?"
    r"(?:[\w+-]{2,40}|[\w.+-]+@[\w.-]+) ?[/:|] ?|(?:log|sign) in\b[^\n]{0,40}?[:\s][ \t]*[\"'`(]?"
    r"(?:[\w+-]{2,40}|[\w.+-]+@[\w.-]+)(?: / |:))(?P<value>[^\s\"'`,;)]{5,60})"
)
_PHRASE = re.compile(
    r"(?i)(?:pass ?phrase[\"'`*]{0,3}[ \t]*[:=][ \t]*[\"'`*]{0,3}(?P<value>[a-z]+(?:[ -][a-z]+){3,11})"
    r"|(?:seed|recovery|mnemonic)(?: phrase| words)?[\"'`*]{0,3}[ \t]*(?:[:=]|is\b)[ \t]*[\"'`*]{0,3}"
    r"(?P<words>[a-z]+(?: [a-z]+){11,23}))"
    r"(?=[\"'`*]{0,3}[ \t]*(?:$|[\n.,;)]))"
)
# Of each pattern's words one is in any text that it matches; plain strings are looked for first, being fast.
_PHRASES = ("phrase", "seed", "recovery", "mnemonic")
_COMMANDS = ("-pass", "-pwd", "-token", "-api", "-secret", "-auth", "mysql", "sshpass", "login", "redis-cli", "curl")
_LOGINS = ("login", "log-in", "log in", "logon", "credential", "creds", "sign in", "zugangsdaten", "identifiants")


def placed_secrets(text: str) -> Iterator[Span]:
    """Passwords in URLs, in Authorization headers, in command lines and after a login name."""
    if "://" in text and "@" in text:
        for match in _IN_URL.finditer(text):
            value = match["value"] or match["user"]
            # In the URLs of Azure's stores the container stands before the @.
            token = is_key_like(value) and not match.group().startswith(("abfs", "wasb"))
            if not is_placeholder(value, quoted=False) and (match["value"] or token):
                yield _span(match, text)
    lower = text.lower()
    if "bearer" in lower or "authorization" in lower:
        for match in _HEADER.finditer(text):
            if is_key_like(match["value"].rstrip(".")) and not is_placeholder(match["value"], quoted=False):
                yield _span(match, text)
    if any(word in lower for word in _PHRASES):
        for match in _PHRASE.finditer(text):
            yield _span(match, text)
    if any(word in lower for word in _COMMANDS):
        for match in _OPTION.finditer(text):
            if not is_placeholder(match["value"], quoted=False):
                yield _span(match, text)
    if any(word in lower for word in _LOGINS):
        for match in _PAIR.finditer(text):
            value = match["value"].rstrip(".")
            if is_password_like(value) and "/" not in value and not is_placeholder(value, quoted=False):
                yield _span(match, text)


def _span(match: re.Match[str], text: str) -> Span:
    start, end = match.span(match.lastgroup or "value")
    while text[end - 1] in ".,;:)" and end - start > 3 and text[end : end + 1] != "@":
        end -= 1
    return secret(start, end, text)
