"""Distinguishes a secret from a placeholder: a blank to fill in, a variable, a word of a sentence."""

from __future__ import annotations

import re

from dolly.clean.privacy.text import words

# <your password>, {{ token }}, [SECRET_…], ${VAR}, %VAR%, a path or an address of a vault, ****, xxx, …
_BLANK = re.compile(
    r"""(?ix)
      [<\[{(].* | \$\{.* | \$\(.* | \#\{.* | @\{.* | %\w+% | %\(.* | %[sdv] | !\w+\ .*
    | \$[A-Z_][A-Z0-9_]* | \$[a-z_]+
    | (?:op|vault|env|file|arn|ssm|secretsmanager|https?|gs|s3|projects):.* | ENC[(\[].* | (?:~|\.{0,2})/.* | [a-z]:\\.*
    | (.)\1* | .{0,3}[x*\u2022.\u2026_\-?\#]{3,}.{0,3} | [x*\u2022?\#0-]+ | .*\.{3} | .*\u2026
    """
)
# "your_api_key_here", "change-me", "the secret value", with or without separators.
_FILL_IN = re.compile(
    r"""(?ix)
    (?:your|you|my|our|their|the|some|any|an?|this|that|new|old|enter|insert|put|paste|add|type|replace|change|set|use
      |example|sample|dummy|fake|mock|test|placeholder|redacted|masked|hidden|secret|super|ihr|dein|votre|tu|su)
    (?:[ _.-]|own|actual|real|strong|secure|super|secret|root|admin|user|db|database|api|auth|access|client|account
      |service|email|login|private|app|me|it|this|with|new|old|current)*
    (?:pass(?:word|wd|phrase|code|wort)?|pwd|pw|token|key|secret|value|credentials?|string|id|here|now)?
    (?:[ _.-]?(?:here|value|goes|string|please|now|in|prod(?:uction)?|later))*
    """
)
_WORDS = words(
    "none null nil true false yes no on off undefined empty blank nan n/a tba tbd todo unknown unset missing "
    "string str text int integer varchar char bool boolean bytes object any void number uuid secretstr optional "
    "required invalid incorrect wrong expired default defaults changed reset updated enabled disabled failed "
    "success ok valid correct stored encrypted hashed protected sensitive confidential private public removed "
    "omitted see same as above below via 1password lastpass bitwarden keepass okta duo kerberos changeme changeit "
    "foo foobar bar baz abc xyz lorem ipsum bearer basic oauth oauth2 jwt saml sso ldap md5 bcrypt scrypt "
    "password passwords passwd passphrase passcode passwort kennwort pass pwd pw token tokens key keys secret "
    "secrets credential credentials username user users usr login email"
)
# getenv("X"), config["password"], self.password, DB_PASSWORD, db_password_file: what programs write.
_CODE = re.compile(
    r"""(?x)
      [A-Za-z_]\w*(?:(?:\.|->|::)\w+)*[(\[].*
    | (?:self|this|process|os|env|config|settings|conf|args|opts|options|params?|request|req|ctx|context|data|var|local
      |module|secrets|vars|inputs|github|user|form|body|props|state|app|cfg|credentials|event|payload|row|record|Values)
      (?:\.|->|::)[\w.\->:\[\]]+
    | [A-Za-z_]+(?:\.[A-Za-z_]+)+
    | [A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASS(?:WORD|WD)?|PWD|_ID|_NAME)(?:_[A-Z0-9]+)*
    | (?:\w+[_-])?(?:pass(?:word|wd|phrase)?|pwd|token|secret|api_?key)(?:[_-][a-z]+)?
    | f["'].* | \w+\s?[+|?]=?
    """
)
# "12-character", "SHA256", "base64", "10:30": digits and letters, yet words of a sentence.
_TECHNICAL = re.compile(
    r"""(?ix)
      [0-9]+[-\ \u2013]?(?:char|digit|letter|day|min|hour|month|year|time|bit|byte|word|st|nd|rd|th|x|k|s|h|d)\w*
    | (?:sha|md|aes|rsa|oauth|base|utf|http|tls|ssl|ipv|iso|rfc|cve|hs|rs|es|v|ed|argon|pbkdf|2fa|mfa|u2f|fido|erc|web
      |level|step)[-_]?[0-9].*
    | [0-9]+(?:[.,:/-][0-9]+)+
    """
)


def is_placeholder(value: str, *, quoted: bool) -> bool:
    """Is the value a blank, an ordinary word, or (outside of quotes) an expression of a program?"""
    if value.lower() in _WORDS or _BLANK.fullmatch(value) or _FILL_IN.fullmatch(value):
        return True
    return (not quoted or "_" in value or value.isupper()) and _CODE.fullmatch(value) is not None


def is_password_like(value: str) -> bool:
    """Would nobody write this in a sentence but as a password: letters with digits or signs inside."""
    if len(value) < 5 or _TECHNICAL.fullmatch(value) or not re.search(r"[^\W\d_]", value):
        return False
    return (
        re.search(r"[0-9]", value) is not None or re.search(r"[@#$%^&*+=~!?|\\{}<>]", value.rstrip("!?.")) is not None
    )


def is_key_like(value: str) -> bool:
    """Is it what a machine made: 8 or more marks with letters and digits, or 20 or more in mixed case."""
    if len(value) < 8 or _TECHNICAL.fullmatch(value) or len(set(value)) < 5 or re.search(r"\s", value):
        return False
    if not re.search(r"[0-9]", value):
        return len(value) >= 20 and re.fullmatch(r"[^-_.]*[a-z][^-_.]*[A-Z][^-_.]*", value) is not None
    return len(value) >= 16 or re.search(r"[A-Za-z]", value) is not None
