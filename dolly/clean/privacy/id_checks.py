"""Check digits of identity numbers, also those that python-stdnum lacks."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType

from stdnum import luhn
from stdnum.se import personnummer
from stdnum.us import itin, ssn

Check = Callable[[str], bool]


def plain_id(number: str) -> str:
    """The number without separators, in capitals."""
    return re.sub(r"[^0-9A-Z]", "", number.upper())


def any_of(*modules: ModuleType) -> Check:
    """A check that is true if one of python-stdnum's modules accepts the number."""

    def check(number: str) -> bool:
        return any(module.is_valid(number) for module in modules)

    return check


def american(number: str) -> bool:
    """SSN or ITIN (US)."""
    return bool(ssn.is_valid(number) or itin.is_valid(number))


def named_ssn(number: str) -> bool:
    """US number that the text calls a social security number: withdrawn and reserved ranges too."""
    plain = plain_id(number)
    return plain[:3] not in ("000", "666") and plain[3:5] != "00" and plain[5:] != "0000"


def canadian(number: str) -> bool:
    """Social Insurance Number (Canada), also of the fictitious range that begins with 0."""
    return bool(luhn.is_valid(plain_id(number)))


def swedish(number: str) -> bool:
    """Swedish number also without the dash before its last four digits."""
    plain = plain_id(number)
    return bool(personnummer.is_valid(f"{plain[:-4]}{'+' if '+' in number else '-'}{plain[-4:]}"))


def not_a_date(check: Check) -> Check:
    """`check`, but false where the number begins like 20240131."""
    date = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
    return lambda number: not date.match(number) and check(number)


def nino(number: str) -> bool:
    """National Insurance number (UK): the prefixes that are given out (HMRC, NIM39110)."""
    plain = plain_id(number)
    return plain[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def nric(number: str) -> bool:
    """Identity number of Singapore: weights 2765432, a letter for the sum by series."""
    plain = plain_id(number)
    total = sum(int(digit) * weight for digit, weight in zip(plain[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    total += {"S": 0, "F": 0, "T": 4, "G": 4, "M": 3}[plain[0]]
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "KLJNPQRTUWX"}
    at = 10 - total % 11 if plain[0] == "M" else total % 11
    return letters[plain[0]][at] == plain[8]


def hkid(number: str) -> bool:
    """Identity card of Hong Kong: weights 9 to 1 with letters as 10 to 35, sum divisible by 11."""
    plain = plain_id(number).rjust(9)
    values = [36 if mark == " " else int(mark, 36) for mark in plain]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def snils(number: str) -> bool:
    """Insurance number of Russia: weights 9 to 1, modulo 101."""
    plain = plain_id(number)
    total = sum(int(digit) * weight for digit, weight in zip(plain[:9], range(9, 0, -1), strict=True))
    return total % 101 % 100 == int(plain[9:])


def insurance_number(number: str) -> bool:
    """Insurance number of Germany (12 characters): cross sums with weights, letter as two digits (VKVV § 4)."""
    plain = plain_id(number)
    digits = f"{plain[:8]}{ord(plain[8]) - 64:02d}{plain[9:11]}"
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    total = sum(sum(divmod(int(digit) * weight, 10)) for digit, weight in zip(digits, weights, strict=True))
    return total % 10 == int(plain[11])


def document(number: str) -> bool:
    """A passport or card: no check that holds for all countries, but never a word and never a single digit repeated."""
    digits = re.sub(r"[^0-9]", "", number)
    return len(digits) >= 5 and len(set(digits)) > 1
