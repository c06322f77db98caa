"""Recognises and masks passwords, keys and tokens in addresses, settings and messages.

Recognised are the user part of a URL, parameters such as `password=` or `AccountKey=`, settings such as
`fs.s3a.secret.key`, and what `clean.privacy` finds in any text: tokens of known services, private keys,
passwords in sentences. The config refuses them (`config_secrets`); errors, parameters, tags and
artifacts are masked by `redacted` and `without_secrets`.
"""

from __future__ import annotations

import re
from typing import Any

from dolly.clean.privacy.secret_formats import formatted_secrets
from dolly.clean.privacy.secret_places import placed_secrets
from dolly.clean.privacy.secret_values import named_secrets
from dolly.clean.privacy.text import words

MASK = "***"

_SECRET_WORDS = re.compile(
    r"pass(?:word|wd|phrase|code)|pwd|(?:^|_)(?:pw|sas)(?:_|$)|secret(?!s|_key_ref)|token(?:_|$)|credentials?(?:_|$)"
    r"|(?:access|account|api|auth|encryption|master|private|pvt|shared|signing|storage)_?key"
)
# Last words of keys that are about a secret without containing one: fs.s3a.aws.credentials.provider.
_COUNT = re.compile("(?:^|_)(?:max|min|num)_")  # max_tokens, or max_token of someone who mistypes it
_ABOUT_A_SECRET = words(
    "alias algorithm bits class enabled endpoint env expiration file files header id impl interval length location "
    "manager name path paths pattern provider providers regex scope size store timeout ttl type uri url"
)
# Azure's settings end with the account's name.
_AZURE_ACCOUNT = re.compile(r"\.[\w-]+\.(?:dfs|blob)\.core\.[\w.]+$")
_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
# Values that stand for a secret kept elsewhere, and those that MySQL's driver prints in its place.
_BLANK = re.compile(r"(?i)[*.\u2026\u2022]*|\$\{.*\}|\{\{.*\}\}|<.*>|true|false|null|none|yes|no")
# Up to the last @, since passwords may contain / and @; a port and a path with an @ are no password.
_IN_URL = re.compile(r"(?P<before>[A-Za-z][\w+.-]*://[^\s/:@]*:)(?!\d+/)(?P<secret>\S*)(?=@[\w.\[$%{(-])")
_IN_ORACLE_URL = re.compile(r"(?i)(?P<before>jdbc:oracle:\w+:[^\s/:@]+/)(?P<secret>\S+)(?=@)")
_PARAMETER = re.compile(
    r"(?P<key>[A-Za-z][\w.-]*)(?P<before>[\"']?[ \t]*=[ \t]*[\"']?)(?P<secret>\{[^}\n]*\}|[^\s;&\"']*[^\s;&\"').,])"
)
_SETTING = re.compile(
    r"(?P<key>[A-Za-z][\w-]*(?:\.[\w-]+)+)(?P<before>[\"']?[ \t]*:[ \t]*[\"']?)(?P<secret>[^\s\"',{}]+)"
    r"(?=[\"']?[ \t]*(?:[,}]|$))",
    re.MULTILINE,
)


def redacted(text: str) -> str:
    """Replaces each secret in a text by `***`; text without secrets, or already masked, is returned unchanged."""
    for pattern in (_IN_URL, _IN_ORACLE_URL):
        text = pattern.sub(lambda match: _masked(match, match["before"]), text)
    for pattern in (_PARAMETER, _SETTING):
        text = pattern.sub(_masked_setting, text)
    spans = [span for finder in (formatted_secrets, named_secrets, placed_secrets) for span in finder(text)]
    end = len(text)
    for span in sorted(spans, reverse=True):
        if span.end <= end and MASK not in text[span.start : span.end]:
            text = text[: span.start] + MASK + text[span.end :]
            end = span.start
    return text


def contains_secret(key: str, value: Any) -> bool:
    """Does a setting contain a secret, judged by its name or the form of its value?

    Args:
        key: the setting's name, dotted or not, such as `fs.s3a.secret.key`.
        value: any value; only texts and numbers can be secrets.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return False
    text = str(value)
    return (is_secret_key(key) and _BLANK.fullmatch(text) is None) or redacted(text) != text


def without_secrets(node: Any, key: str = "") -> Any:
    """Returns a copy of a config, or of any tree of mappings and lists, with its secrets masked.

    Args:
        node: mappings, lists, texts and other values; not modified.
        key: the key of `node` in its parent.
    """
    if isinstance(node, dict):
        return {name: without_secrets(value, str(name)) for name, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [without_secrets(value, key) for value in node]
    if isinstance(node, str):
        return MASK if is_secret_key(key) and _BLANK.fullmatch(node) is None else redacted(node)
    return MASK if contains_secret(key, node) else node


def is_secret_key(key: str) -> bool:
    """Does a setting of this name contain a secret, such as `spark.ssl.keyPassword` or `AccountKey`?"""
    plain = _WORD_ENDS.sub("_", _AZURE_ACCOUNT.sub("", key)).strip("_").lower()
    if _COUNT.search(plain) or plain.rpartition("_")[2] in _ABOUT_A_SECRET:
        return False
    return _SECRET_WORDS.search(plain) is not None


def _masked_setting(match: re.Match[str]) -> str:
    return _masked(match, match["key"] + match["before"]) if is_secret_key(match["key"]) else match[0]


def _masked(match: re.Match[str], before: str) -> str:
    return match[0] if _BLANK.fullmatch(match["secret"]) else before + MASK
