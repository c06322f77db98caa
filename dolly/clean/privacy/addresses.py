"""E-mail and IP addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from dolly.clean.privacy.span import Span
from dolly.clean.privacy.text import words

_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_AT = r"(?:@|%40|&#64;|\uff20)"
_EMAIL = re.compile(
    rf"(?:(?<!\w)\"[^\"\n@]{{1,64}}\"|(?<![\w.@])\w[\w.+'-]{{0,63}}){_AT}"
    rf"(?:(?:{_LABEL}\.)+(?:[^\W\d_]{{2,24}}|xn--[a-zA-Z0-9-]+)(?![^\W_]|@)|\[[0-9a-fA-F:.]{{7,45}}\])"
)
_SPACED = re.compile(
    rf"(?<![\w.@])[^\W_](?:[\w.+-]*[^\W_])?(?: {{1,2}}@ {{0,2}}|@ {{1,2}})(?:{_LABEL}\.)+[A-Za-z]{{2,24}}(?!\w)"
)
_DOT = r"(?:\s?[\[({<]\s?(?:dot|punkt|point|punto)\s?[\])}>]\s?|\s+dot\s+)"
_SPELLED = re.compile(
    rf"(?i)(?<![\w.@])(?P<local>\w[\w+-]{{0,40}}(?:(?:\.|{_DOT})[\w+-]{{1,40}}){{0,3}})"
    rf"(?:\s?[\[({{<]\s?(?:at|@|\u00e4t|arroba)\s?[\])}}>]\s?|(?P<plain>\s+at\s+))"
    rf"(?P<domain>{_LABEL}(?:(?:\.|{_DOT}){_LABEL}){{0,3}}(?:\.|(?P<last>{_DOT}))[a-z]{{2,24}})(?!\w)"
)
# One of these is in any text that `_SPELLED` matches.
_SPELLED_SIGNS = (
    *("at]", "at)", "at}", "at>", "at ]", "at )", "@)", "@]", "\u00e4t", "arroba"),
    *(" dot ", "\ndot ", " dot\n", "\tdot"),
)
_SIGN = re.compile(r"(?i)\s*(?:[\[({<]\s?(?:at|@|\u00e4t|arroba)\s?[\])}>]|%40|&#64;|\uff20|@)\s*|\s+at\s+")
_DOTS = re.compile(rf"(?i){_DOT}")
_PLACEHOLDER = re.compile(
    r"(?i)(?:you|yours?[._-]?(?:e?-?mail|names?|user(?:name)?|id|address|account)(?:[._-]\w+)?|e?mail[._-]?address"
    r"|f(?:irst)?[._-]?(?:name)?[._-]?l(?:ast)?[._-]?name|(?P<x>[x.*_])(?P=x)+)@"
)
# What stands after an @ in file names of images and in package specifiers.
FILE_ENDINGS = words("png jpg jpeg gif svg webp ico css js ts jsx tsx json html md py java tgz gz zip")
_BEFORE_SPELLED = words(
    "look looks is are was available us me him them website hosted site page online meet here live stay visit"
)
_MAIL_WORD = re.compile(r"(?i)(?:mail|contact|write|reach|address|kontakt|correo)[^\n]{0,30}$")
_REMOTE = re.compile(r"(?:\b(?:ssh|scp|sftp|rsync|mosh)\s[^\n|;]{0,60}|://[^\s/]{0,80})$")
_REMOTE_SIGNS = ("://", "ssh ", "scp ", "sftp ", "rsync ", "mosh ")

# Both begin with a plain class, so that the search can leap; what may stand before is looked at afterwards.
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9]|-(?!(?:[0-9]{1,3}\.){3}[0-9])[0-9A-Za-z])")
_IPV6 = re.compile(r"[0-9a-fA-F:][0-9a-fA-F:]{2,38}(?:(?<=:)(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![\w:]|\.[0-9])")
_IPV6_SHAPE = re.compile(r"[0-9a-fA-F]{2,4}:(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F.]*|::[fF]{4}:[0-9.]+")
_BEFORE_IP = re.compile(r"(?:[\w.]|[\w.]-|:)$")
_NOT_AN_IP = re.compile(
    r"(?i)(?:(?<![a-z])(?:version(?:en|s|nummer)?|ver|vers|v|release[ds]?|rev(?:ision)?|build|firmware|upgraded?"
    r"|updated?|downgraded?|sections?|sec|clauses?|chapters?|paragraph|para|annex|appendix|figure|fig|table|step|kapitel"
    r"|abschnitt|oid|driver|patch|hotfix|installer|sdk|jdk|jre|java|oracle|db2|chrome|chromium|firefox|safari"
    r"|opera|acrobat|ios|macos|android|kernel|plugin|assembly|fix(?:ed)? in|since|prior to)"
    r"[ \t]*(?:is|was|number|no\.?|nr\.?|of|to|from|auf|von|[:=.#v])?[ \t\"'`*(]*|\u00a7+ ?|==|[~^]=?|[<>]= ?|[a-z]/"
    r"|(?:up|down)grad(?:e|ed|es|ing)\b[^\n.]*)$"
)
_BETWEEN_VERSIONS = re.compile(
    r"[\"'`)]*(?: ?[,/\u2013\u2014-] ?| (?:to|and|or|through|until|auf|bis|und|oder)(?: version)? |,? (?:and|or) )"
    r"[\"'`(]*"
)
_AFTER_VERSION = re.compile(
    r"(?i)(?:[-+ ](?:beta|alpha|rc|snapshot|release|version|build)\b|\.(?:jar|zip|tar|exe|msi|deb|rpm))"
)


def emails(text: str) -> Iterator[Span]:
    """E-mail addresses, also percent-encoded, with a bracketed (at), spelled out or with a white space at the @."""
    if "@" in text or "%40" in text or "&#64;" in text or "\uff20" in text:
        for match in _EMAIL.finditer(text):
            yield from _email(text, match.start(), match.end())
        for match in _SPACED.finditer(text) if " @" in text or "@ " in text else ():
            local = match.group().split("@")[0]
            apart = local.endswith(" ") and "@ " in match.group()
            mail = apart and _MAIL_WORD.search(text[max(0, match.start() - 40) : match.start()])
            if mail or re.search(r"[._0-9]", local):
                yield from _email(text, match.start(), match.end())
    lower = text.lower()
    if any(sign in lower for sign in _SPELLED_SIGNS):
        for match in _SPELLED.finditer(text):
            if not match["plain"] or (match["last"] and match["local"].lower() not in _BEFORE_SPELLED):
                yield from _email(text, match.start(), match.end())


def _email(text: str, start: int, end: int) -> Iterator[Span]:
    if text[start - 1 : start] == "\\" and text[start] in "nrt":
        start += 1  # An escaped line break in a JSON or source text.
    if text[start - 1 : start] == "%" and re.match(r"[0-9A-F]{2}", text[start:end]):
        start += 2  # The rest of a percent-encoded sign.
    start += len(text[start:end]) - len(text[start:end].lstrip("+.'-"))
    if text[start] == "_" == text[end : end + 1]:
        start += 1  # Emphasis in Markdown.
    normal = _SIGN.sub("@", _DOTS.sub(".", text[start:end]), count=1).lower()
    local, _, domain = normal.rpartition("@")
    if not local or local.endswith(".") or ".." in normal or _PLACEHOLDER.match(normal):
        return
    if domain.rpartition(".")[2] in FILE_ENDINGS or (text[end : end + 1] == ":" and text[end + 1 : end + 2].strip()):
        return
    before = text[max(0, start - 100) : start]
    if not any(sign in before for sign in _REMOTE_SIGNS) or not _REMOTE.search(before):
        yield Span(start, end, "EMAIL", normal.replace(" ", ""))


def ips(text: str) -> Iterator[Span]:
    """IPv4 and IPv6 addresses of hosts, without port and prefix length.

    Not: version and section numbers, and addresses that are the same everywhere (loopback,
    unspecified, netmasks), which identify nobody.
    """
    version_end = last_end = -1
    for match in _IPV4.finditer(text) if text.count(".") > 2 else ():
        start, end = match.span()
        before = text[max(0, start - 24) : start]
        ranged = last_end >= 0 and text[last_end:start] == "-"
        if (address := _ipv4(match.group())) is None or (
            not ranged and _BEFORE_IP.search(before[-2:].replace(":", " "))
        ):
            continue
        chained = version_end >= 0 and _BETWEEN_VERSIONS.fullmatch(text, version_end, start)
        if chained or _NOT_AN_IP.search(before) or _AFTER_VERSION.match(text, end):
            version_end = end
        else:
            last_end = end
            yield Span(start, end, "IP", address)
    for match in _IPV6.finditer(text) if "::" in text or text.count(":") > 6 else ():
        start, end = match.span()
        if not _BEFORE_IP.search(text[max(0, start - 2) : start]) and (address := _ipv6(match.group())) is not None:
            yield Span(start, end, "IP", address)


def _ipv4(candidate: str) -> str | None:
    try:
        address = ipaddress.IPv4Address(candidate)
    except ValueError:
        return None
    first, rest = divmod(int(address), 1 << 24)
    # 2.0.0.0 is the version of a program, 10.0.0.0 a network.
    return None if first in (0, 127, 255) or (rest == 0 and first != 10) else str(address)


def _ipv6(candidate: str) -> str | None:
    if not _IPV6_SHAPE.fullmatch(candidate):
        return None
    groups = candidate.split(":")
    if sum(map(bool, groups)) < 2:
        return None
    # Eight pairs of digits are a hardware address (EUI-64), words of hexadecimal letters are names in code.
    if not any(digit in candidate for digit in "0123456789") or (len(groups) == 8 and all(len(g) == 2 for g in groups)):
        return None
    try:
        return str(ipaddress.IPv6Address(candidate))
    except ValueError:
        return None
