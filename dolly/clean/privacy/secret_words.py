"""The words that announce a secret: password, API key, token, PIN, in the languages of the default regions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dolly.clean.privacy.text import lower_aligned, occurrences

# Passwords of people, keys of machines and short digit codes each have their own rule.
PASSWORD = (
    r"pass[ _-]?(?:word|wd|phrase|code|wort)|passwd|pwd|pswd|psk|kennwort|contrase(?:\u00f1|n)a|mot de passe|mdp"
    r"|wachtwoord|senha|palavra-passe|has\u0142o|l(?:\u00f6|o)senord|adgangskode|passord|salasana|parola"
    r"|\u043f\u0430\u0440\u043e\u043b\u044c|\u5bc6\u7801|\u30d1\u30b9\u30ef\u30fc\u30c9"
    r"|(?:wi-?fi|wlan|wpa2?|network)[ _-]key|(?<![A-Za-z])pw"
)
_MACHINE = (
    r"(?:api|access|auth|account|encryption|signing|private|shared|storage|master|service|client|app|secret|ssh|deploy"
    r"|admin|aes|jwt|session|consumer|security|hmac|integration|subscription)[ _-]?(?:access[ _-]?)?key"
    r"|secret|token|sess(?:ion)?_?id|jsessionid|phpsessid|signature(?==)|(?<=[?&])(?:sig|key)"
)
_CODE = (
    r"(?<![A-Za-z])(?:(?-i:PIN|OTP|TAN)|one-time (?:code|password|passcode)"
    r"|(?:2fa|verification|login|security|access|door|alarm|gate|entry|unlock) (?:code|pin))"
)
# "pass" alone is a verb more often than not; it counts where a sign follows. 1Password is a product.
_SHORT = r"(?<![A-Za-z])pass(?=[\"'`\]*]{0,3}[ \t]*[:=>|])"
_KEY = re.compile(
    rf"(?i)(?:(?P<code>{_CODE})|(?P<password>(?<!1)(?:{PASSWORD}))|(?P<short>{_SHORT})|(?P<machine>{_MACHINE}))"
    r"(?:[ _-](?:value|prod(?:uction)?|dev|test|staging|live|base64|b64)|[ _-]?[0-9]{1,2})?(?![A-Za-z0-9]|[_-][A-Za-z])"
)
# `_KEY` is tried only where one of these stands, since plain strings are found a hundred times faster; with
# how many characters of the key may come before it ("mot de passe", "subscription access key").
_PARTS = {
    **dict.fromkeys(
        ("pwd", "pswd", "psk", "kennwort", "contrase", "mdp", "wachtwoord", "senha", "has\u0142o", "adgangskode"), 0
    ),
    **dict.fromkeys(
        (
            "salasana",
            "parola",
            "\u043f\u0430\u0440\u043e\u043b\u044c",
            "\u5bc6\u7801",
            "\u30d1\u30b9\u30ef\u30fc\u30c9",
        ),
        0,
    ),
    **dict.fromkeys(("pw", "secret", "token", "one-time", "signature=", "sig="), 0),
    **{"pass": 8, "senord": 2, "sess": 3, "key": 20, " code": 14, " pin": 14},
}
_CAPITALS = ("PIN", "OTP", "TAN")


def secret_words(text: str) -> Iterator[re.Match[str]]:
    """Matches of announcing words; `lastgroup` is password, short, machine or code."""
    lower = lower_aligned(text)
    candidates = [(at, back) for part, back in _PARTS.items() if part in lower for at in occurrences(lower, part)]
    candidates += [(at, 0) for part in _CAPITALS if part in text for at in occurrences(text, part)]
    end = 0
    for at, back in sorted(candidates):
        for start in range(max(end, at - back), at + 1):
            if match := _KEY.match(text, start):
                end = match.end()
                yield match
                break
