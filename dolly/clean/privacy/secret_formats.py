"""Secrets that are known by their form: tokens of well-known services, signed tokens, private keys.

The forms are those that the services document. detect-secrets knows most of them too; its plugins
also hold code that would try a found token against the service, and half a second of imports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dolly.clean.privacy.span import Span

# The forms are tried only in long words: the alternation is too slow for each character of a text.
_LONG = re.compile(r"[^\s\"'<>]{15,}")
_FORMS = (
    r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}",  # Amazon access key
    r"gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}",
    r"gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[\w-]{18,}|GR1348941[\w-]{18,}",
    r"xox[abeoprs]-[\w-]{10,}|xapp-[0-9]-[\w-]{10,}",  # Slack
    r"(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{10,}|whsec_[A-Za-z0-9+/=]{16,}",  # Stripe
    r"sk-(?:proj|ant|svcacct|admin|or)-[\w-]{16,}|sk-[A-Za-z0-9]{20,}(?:-[\w-]*)?",  # OpenAI, Anthropic
    r"AIza[\w-]{30,}|GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,}",  # Google
    r"SG\.[\w-]{16,}\.[\w-]{16,}|xkeysib-[0-9a-f]{32,}[\w-]*",  # SendGrid, Brevo
    r"(?:AC|SK)[0-9a-f]{32}|key-[0-9a-f]{32}|[0-9a-f]{32}-us[0-9]{1,2}",  # Twilio, Mailgun, Mailchimp
    r"npm_[A-Za-z0-9]{30,}|pypi-[\w-]{32,}|rubygems_[0-9a-f]{40,}|dckr_pat_[\w-]{20,}",
    r"do[opr]_v1_[0-9a-f]{32,}|hf_[A-Za-z0-9]{20,}|dapi[0-9a-f]{32}(?:-[0-9])?",
    r"[0-9]{8,10}:AA[\w-]{30,}|[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,}",  # Telegram, Discord
    r"sq0[a-z]{3}-[\w-]{22,}|shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}|EAA[A-Za-z0-9]{60,}",  # Square, Shopify, Meta
    r"hv[sbr]\.[\w-]{20,}|dp\.(?:pt|st|ct|sa)\.[\w.-]{30,}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}",
    r"ATATT3[\w=-]{20,}|ATCTT3[\w=-]{20,}|lin_api_[A-Za-z0-9]{30,}|secret_[A-Za-z0-9]{40,}|ntn_[A-Za-z0-9]{40,}",
    r"NRAK-[A-Z0-9]{20,}|glsa_\w{30,}|sntrys_[\w+/=]{40,}|figd_[\w-]{30,}|PMAK-[0-9a-f-]{40,}|sgp_(?:[0-9a-f]{16}_)?[0-9a-f]{40}",
    r"AKC[A-Za-z0-9]{50,}|AGE-SECRET-KEY-1[0-9A-Z]{50,}|pscale_(?:tkn|pw)_[\w.-]{30,}|sbp_[0-9a-f]{40}",
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*(?:\.[\w-]*){0,2}",  # JSON web token
)
_TOKEN = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(_FORMS)})(?![A-Za-z0-9])", re.ASCII)
_WEBHOOK = re.compile(
    r"https://(?:hooks\.slack\.com/(?:services|workflows)/[A-Z0-9]+/[A-Z0-9]+/[\w/]+"
    r"|(?:\w+\.)?discord(?:app)?\.com/api/webhooks/[0-9]+/[\w-]{20,}|[\w.-]+\.webhook\.office\.com/webhookb2/[\w@./-]{40,})"
)
_KEY_BLOCK = re.compile(
    r"-----BEGIN ((?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----(?P<body>.*?)(?:-----END \1-----|(?=\n[ \t]*\n)|\Z)",
    re.DOTALL,
)
_MATERIAL = re.compile(r"[A-Za-z0-9+/=]{16}")
# An Amazon secret key has no prefix, only its length; it counts beside its access key or its name.
_AMAZON = re.compile(
    r"(?<![\w/+=])(?=[A-Za-z0-9/+]*[0-9])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[g-z])[A-Za-z0-9/+]{40}(?![\w/+=])"
)
_FEWEST_MARKS = 6  # different ones in the last 16 characters; fewer is "xxxx…" or "1234…" in a manual


def formatted_secrets(text: str) -> Iterator[Span]:
    """Tokens, web hooks and blocks of private keys; not the rows of one letter that manuals show."""
    if "PRIVATE KEY" in text:
        for match in _KEY_BLOCK.finditer(text):
            if _MATERIAL.search(match["body"]):
                yield secret(match.start(), match.end(), text)
    for long in _LONG.finditer(text):
        for pattern in (_TOKEN, _WEBHOOK):
            for match in pattern.finditer(text, *long.span()):
                if len(set(match.group()[-16:])) >= _FEWEST_MARKS:
                    yield secret(*match.span(), text)
    if "AKIA" in text or "ASIA" in text or ("aws" in text.lower() and "secret" in text.lower()):
        for match in _AMAZON.finditer(text):
            yield secret(*match.span(), text)


def secret(start: int, end: int, text: str) -> Span:
    """The span of a secret; its canonical form is the secret itself."""
    return Span(start, end, "SECRET", text[start:end])
