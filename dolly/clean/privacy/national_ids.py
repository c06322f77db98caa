"""Identity numbers of persons: social security, tax, population register, passports."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dolly.clean.privacy.id_checks import Check, document, plain_id
from dolly.clean.privacy.id_names import NAMED
from dolly.clean.privacy.id_shapes import DIGIT_FIRST, LETTER_FIRST
from dolly.clean.privacy.span import Span
from dolly.clean.privacy.text import digit_count, lower_aligned, occurrences

_REACH = 40  # characters between a name and its number
_REACH_BACK = 20
_LONGEST = 25  # characters of a number with its separators
_START = r"(?<![\w+$])(?<!\w[-./])"
_END = r"(?!\w|-\w|[./][0-9])"
_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"[.!?]\s+[A-Z][a-z]|\n\s*\n")
_LABEL = re.compile(
    r"(?i)(?<![^\W_])(?:tel|phone|telephone|mobile|call|fax|order|invoice|ticket|serial|sku|part|tracking|ref|reference"
    r"|case|account|acct|isbn|model|item|batch|lot|rechnung|bestellung|auftrag|artikel|vorgang|commande|facture|pedido"
    r"|factura|ordine|fattura)s?[ .:#_-]*(?:no|nr|nummer|number|id)?[ .:#]*$"
)


def _alternation(shapes: tuple[tuple[str, Check], ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<s{at}>(?:{shape}){_END})" for at, (shape, _) in enumerate(shapes)))


def _phrase(phrase: str) -> str:
    return re.escape(phrase).replace(r"\ ", "[ _-]?")


def _by_first_word() -> dict[str, list[int]]:
    rules: dict[str, list[int]] = {}
    for at, rule in enumerate(NAMED):
        for phrase in rule.phrases.split("|"):
            words = _WORD.findall(phrase)
            # "idnumber" is one word of the text, and begins as two of the phrase.
            for first in {words[0], "".join(words)}:
                rules.setdefault(first, []).append(at)
    return rules


# Where a shape can begin: the alternations are too slow to be tried at each character.
_DIGIT_START = re.compile(r"(?<![\w+$])(?<!\w[-./])[0-9](?=(?:[ .\-/+]?[0-9A-Z]){6})")
_LETTER_START = re.compile(r"(?<![\w+$])(?<!\w[-./])[A-Z](?=[A-Z -]{0,6}[0-9L-V]{2}|[A-Z]?-[0-9])")
_FEWEST_DIGITS = 4  # of the Indian tax number
_DIGITS = _alternation(DIGIT_FIRST)
_LETTERS = _alternation(LETTER_FIRST)
_NAMES = [
    re.compile(rf"(?i)(?<![^\W_])(?:{'|'.join(map(_phrase, rule.phrases.split('|')))})(?![^\W_])") for rule in NAMED
]
_SHAPES = [re.compile(f"{_START}(?:{rule.shape}){_END}") for rule in NAMED]
_RULES_BY_WORD = _by_first_word()


def national_ids(text: str) -> Iterator[Span]:
    """Numbers with a right check digit that have a distinctive shape, or that the text names."""
    if digit_count(text) < _FEWEST_DIGITS:
        return
    for starts, pattern, shapes in ((_DIGIT_START, _DIGITS, DIGIT_FIRST), (_LETTER_START, _LETTERS, LETTER_FIRST)):
        for start in starts.finditer(text):
            match = pattern.match(text, start.start())
            if not match or _LABEL.search(text[max(0, match.start() - 30) : match.start()]):
                continue
            if shapes[int((match.lastgroup or "s0")[1:])][1](match.group()):
                yield _span(match)
    lower = lower_aligned(text)
    for word in sorted(_RULES_BY_WORD.keys() & _WORD.findall(lower)):
        for at in occurrences(lower, word):
            if digit_count(text[max(0, at - _REACH_BACK - _LONGEST) : at + 2 * _REACH + _LONGEST]) >= _FEWEST_DIGITS:
                for rule in _RULES_BY_WORD[word]:
                    yield from _near_name(text, at, rule)


def _near_name(text: str, at: int, rule: int) -> Iterator[Span]:
    """Numbers with the shape of `NAMED[rule]` near its name, which begins at `at`."""
    name = _NAMES[rule].match(text, at)
    if not name:
        return
    first, last = max(0, at - _REACH_BACK - _LONGEST), name.end() + _REACH + _LONGEST
    for match in _SHAPES[rule].finditer(text, first, last):
        after, before = match.start() - name.end(), at - match.end()
        # A document has no check digit, so its number counts only where it should stand: after its name.
        behind = 0 <= before <= _REACH_BACK and NAMED[rule].check is not document
        if behind or 0 <= after <= _REACH:
            gap = text[name.end() : match.start()] if after >= 0 else text[match.end() : at]
            labelled = _LABEL.search(text[max(0, match.start() - 30) : match.start()])
            if not _SENTENCE_END.search(gap) and not labelled and NAMED[rule].check(match.group()):
                yield _span(match)


def _span(match: re.Match[str]) -> Span:
    return Span(match.start(), match.end(), "NATIONAL_ID", plain_id(match.group()))
