"""Names of people from a given list."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

from dolly.clean.privacy.span import Span

_QUICK_WORD = re.compile(r"[^\W_]+")
# Combining marks belong to the letter before them, so a decomposed é does not end a word.
_WORD = re.compile("(?:[^\\W_][\u0300-\u036f]*)+")
_COMMA = re.compile(r"\s*,\s*")


class Names:
    """Finds each listed name, "First Last" and, for two words, "Last, First"; case and white space are free.

    The names are kept by their first word, so the cost does not grow with the length of the list.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], tuple[str, ...], str]]] = {}
        for name in names:
            self._add(name)
        for forms in self._by_first.values():
            forms.sort(key=lambda form: -len(form[0]))

    def _add(self, name: str) -> None:
        words = list(_WORD.finditer(name))
        if not words:
            return
        keys = tuple(_key(word.group()) for word in words)
        gaps = tuple(_gap(name[a.end() : b.start()]) for a, b in pairwise(words))
        normal = " ".join(unicodedata.normalize("NFC", name).casefold().split())
        self._by_first.setdefault(keys[0], []).append((keys, gaps, normal))
        # "Doe, Jane": the white space that parts a two-part name is where the comma goes.
        if gaps.count(" ") == 1 and "," not in gaps:
            at = gaps.index(" ") + 1
            turned = (*keys[at:], *keys[:at])
            self._by_first.setdefault(turned[0], []).append((turned, (*gaps[at:], ",", *gaps[: at - 1]), normal))

    def __call__(self, text: str) -> Iterator[Span]:
        if not self._by_first or self._by_first.keys().isdisjoint(_QUICK_WORD.findall(_key(text))):
            return
        words = list(_WORD.finditer(text))
        keys = [_key(word.group()) for word in words]
        for at, key in enumerate(keys):
            for form, gaps, normal in self._by_first.get(key, ()):
                last = at + len(form) - 1
                if tuple(keys[at : last + 1]) == form and _border(text, words[at].start(), words[last].end()):
                    between = zip(words[at:last], words[at + 1 : last + 1], strict=True)
                    if gaps == tuple(_gap(text[a.end() : b.start()]) for a, b in between):
                        yield Span(words[at].start(), words[last].end(), "PERSON", normal)
                        break


def _key(word: str) -> str:
    return word.lower() if word.isascii() else unicodedata.normalize("NFC", word).casefold()


def _gap(gap: str) -> str:
    if not gap.strip():
        return " "
    return "," if _COMMA.fullmatch(gap) else "".join(gap.replace("\u2019", "'").replace("\u2010", "-").split())


def _border(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start] != "_" and text[end : end + 1] != "_"
