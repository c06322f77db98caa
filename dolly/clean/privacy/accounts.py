"""Bank accounts (IBAN) and payment cards."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum import iban, luhn

from dolly.clean.privacy.context import is_labelled_otherwise
from dolly.clean.privacy.span import Span
from dolly.clean.privacy.text import digit_count

_SPACE = " \u00a0\u2009\u202f"
_IBAN = re.compile(rf"(?<![0-9A-Za-z])[A-Za-z]{{2}}[0-9]{{2}}(?:[{_SPACE}.\-]?[0-9A-Za-z]){{11,30}}")
_SHORTEST_IBAN, _LONGEST_IBAN = 15, 34  # Norway has the shortest, ISO 13616 sets the longest
_FEWEST_IBAN_DIGITS, _FEWEST_CARD_DIGITS = 6, 14
_CARD = re.compile(
    rf"(?<![\w.,+])(?<![\w][-/])(?:[0-9]{{4}}([{_SPACE}.\-])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}(?:\1[0-9]{{1,3}})?"
    rf"|[0-9]{{4}}([{_SPACE}.\-])[0-9]{{6}}\2[0-9]{{4,5}}|[0-9]{{14,19}})(?![\w]|[-.][0-9A-Za-z])"
)
# Issuer prefixes and lengths (ISO/IEC 7812): Visa, Mastercard, American Express, Discover, Diners, JCB,
# UnionPay, Maestro, RuPay. 13-digit Visa cards are gone; that length is mostly time stamps and ISBNs.
_ISSUERS = re.compile(
    r"4(?:[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|3[47][0-9]{13}"
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}|3(?:0[0-5]|09|[68][0-9])[0-9]{11}|35(?:2[89]|[3-8][0-9])[0-9]{12}"
    r"|62[0-9]{14,17}|(?:50|5[6-8]|6[0-9])[0-9]{14,17}|8[12][0-9]{14}"
)


def ibans(text: str) -> Iterator[Span]:
    """IBANs whose country, length, structure and check digits are right; spaces, dashes and case are free."""
    if digit_count(text) < _FEWEST_IBAN_DIGITS:
        return
    for match in _IBAN.finditer(text):
        # Words after the number match too, so each end at a word border is tried, the longest first.
        end = match.end()
        while end > match.start() + _SHORTEST_IBAN - 1:
            if not text[end : end + 1].isalnum() and (normal := _iban(text[match.start() : end])):
                yield Span(match.start(), end, "IBAN", normal)
                break
            end -= 1


def _iban(candidate: str) -> str | None:
    plain = re.sub(r"[^0-9A-Za-z]", "", candidate).upper()
    if not candidate[-1].isalnum() or not _SHORTEST_IBAN <= len(plain) <= _LONGEST_IBAN:
        return None
    # The country's check digits inside the account are not checked: a mistyped account may still be someone's.
    return plain if _is_iban(plain) else None


def _is_iban(plain: str) -> bool:
    turned = plain[4:] + plain[:4]
    if int("".join(str(int(mark, 36)) for mark in turned)) % 97 != 1:
        return False
    try:
        iban.validate(plain, check_country=False)
    except ValueError:
        return False
    return True


def cards(text: str) -> Iterator[Span]:
    """Payment cards: an issuer's prefix and length, and Luhn's check digit (ISO/IEC 7812-1)."""
    if digit_count(text) < _FEWEST_CARD_DIGITS:
        return
    for match in _CARD.finditer(text):
        plain = re.sub(r"[^0-9]", "", match.group())
        if not _ISSUERS.fullmatch(plain) or len(set(plain)) < 2 or not luhn.is_valid(plain):
            continue
        if match.group() == plain and is_labelled_otherwise(text, match.start()):
            continue
        yield Span(*match.span(), "CARD", plain)
