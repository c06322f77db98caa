"""What the numbering plans say of a telephone number: Google's phonenumbers, with what is asked twice kept."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, ValidationResult

_GROUP = re.compile(r"[0-9]+")
# Indian mobile numbers: dialled with and without the 0 of long distance.
_TRUNK_OPTIONAL = frozenset({"IN"})


@lru_cache(maxsize=4096)
def international(plain: str) -> str | None:
    """E.164 of a number that begins with +, if it is valid, or at least of a possible length."""
    try:
        number = phonenumbers.parse(plain, None)
    except phonenumbers.NumberParseException:
        return None
    fine = phonenumbers.is_valid_number(number) or (phonenumbers.is_possible_number(number) and len(plain) > 9)
    return _e164(number) if fine else None


@lru_cache(maxsize=4096)
def of_region(raw: str, regions: tuple[str, ...], *, without_trunk: bool = False) -> str | None:
    """E.164 of the valid number; of several regions, the number of the region with the digit grouping of `raw`.

    `without_trunk` also accepts a number that lacks its region's leading 0.
    """
    groups, plain = _GROUP.findall(raw), re.sub(r"[^0-9]", "", raw)
    valid: list[PhoneNumber] = []
    second: list[PhoneNumber] = []
    for region in regions:
        number = _parsed(raw, region)
        if not number or not phonenumbers.is_valid_number(number):
            continue
        national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        if _GROUP.findall(national) == groups or _GROUP.findall(national.lstrip("0")) == groups:
            return _e164(number)
        whole = "".join(_GROUP.findall(national))
        fits = plain.endswith(whole) or plain.startswith("0") or (region in _TRUNK_OPTIONAL and whole == "0" + plain)
        (valid if fits else second).append(number)
    matching = valid or (second if without_trunk else [])
    return _e164(matching[0]) if matching else None


@lru_cache(maxsize=4096)
def possible(raw: str, regions: tuple[str, ...]) -> str | None:
    """E.164 of a number with a possible length in one of the regions, also as a local number."""
    fine = (ValidationResult.IS_POSSIBLE, ValidationResult.IS_POSSIBLE_LOCAL_ONLY)
    for region in regions:
        number = _parsed(raw, region)
        if number and phonenumbers.is_possible_number_with_reason(number) in fine:
            return _e164(number)
    return None


def of_letters(raw: str) -> str | None:
    """E.164 of an American number that is spelled in part, such as 1-800-FLOWERS."""
    number = _parsed(raw, "US")
    return _e164(number) if number and phonenumbers.is_valid_number(number) else None


def _parsed(raw: str, region: str) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
