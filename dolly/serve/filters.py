"""Filters of questions and answers: words, patterns and personal data, refused or masked.

A stream holds back as much text as a match may be long, so that no part of one is sent before the whole is seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dolly.errors import ConfigError
from dolly.serve.errors import Refusal

Spans = Callable[[str], Iterable[tuple[int, int]]]
# Longest match that a stream waits for, in characters.
_PATTERN, _PERSONAL = 200, 80
# Text before what is sent that a detector may look at: labels such as "phone:".
_BEFORE = 200


@dataclass(frozen=True)
class Filter:
    """One filter.

    Args:
        name: in messages and in place of masked text.
        spans: where its matches begin and end in a text.
        longest: maximum length of a match that a stream waits for.
        action: what is done with a text that has a match.
        of: which texts.
    """

    name: str
    spans: Spans
    longest: int
    action: Literal["refuse", "mask"]
    of: Literal["both", "input", "output"]


def word_spans(words: Sequence[str]) -> tuple[Spans, int]:
    """Matches of whole words in any case, and the length of the longest."""
    each = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{each})(?!\w)", re.IGNORECASE)
    return lambda text: (match.span() for match in pattern.finditer(text)), max(map(len, words)) + 1


def make_filter(settings: Any) -> Filter:
    """A filter of a config's `serve.filters`.

    Raises:
        ConfigError: its words can't be read.
    """
    if settings.personal_data:
        from dolly.clean.privacy.detector import Detector

        detector = Detector(kinds=settings.personal_data)
        spans: Spans = lambda text: ((span.start, span.end) for span in detector.spans(text))  # noqa: E731
        return Filter(settings.name, spans, _PERSONAL, settings.action, settings.of)
    if settings.pattern:
        pattern = re.compile(settings.pattern)
        return Filter(
            settings.name,
            lambda text: (match.span() for match in pattern.finditer(text) if match.group()),
            _PATTERN,
            settings.action,
            settings.of,
        )
    words = list(settings.words)
    if settings.words_file:
        try:
            words += Path(settings.words_file).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            fault = f"serve.filters: {settings.words_file} can't be read ({error})"
            raise ConfigError(source="the config", faults=[fault]) from error
    spans, longest = word_spans([word.strip() for word in words if word.strip()])
    return Filter(settings.name, spans, longest, settings.action, settings.of)


class Filters:
    """All filters of a server."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._input = [each for each in filters if each.of != "output"]
        self._output = [each for each in filters if each.of != "input"]

    @property
    def of_answers(self) -> bool:
        """Are there filters of answers?"""
        return bool(self._output)

    def question(self, text: str, *, param: str) -> str:
        """The text with masks.

        Raises:
            Refusal: a filter refuses it.
        """
        for start, end, each in reversed(_matches(self._input, text)):
            if each.action == "refuse":
                message = f"{param}: the filter {each.name} refuses this text"
                raise Refusal(400, message, param=param, code="content_filter")
            text = f"{text[:start]}[{each.name}]{text[end:]}"
        return text

    def answer(self) -> FilteredAnswer:
        """For one answer, which comes in pieces."""
        return FilteredAnswer(self._output)


class FilteredAnswer:
    """Filters an answer piece by piece.

    Attributes:
        refused: has a filter ended the answer?
    """

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = filters
        self._longest = max((each.longest for each in filters), default=0)
        self._text = ""
        self._sent = 0
        self.refused = False

    def add(self, piece: str) -> str:
        """The text that no match can begin in any more, with masks."""
        self._text += piece
        return self._release(len(self._text) - self._longest)

    def end(self) -> str:
        """The rest, once the answer has ended."""
        return self._release(len(self._text))

    def _release(self, until: int) -> str:
        if self.refused or until <= self._sent:
            return ""
        start = max(0, self._sent - _BEFORE)
        released = ""
        for first, last, each in _matches(self._filters, self._text[start:]):
            first, last = first + start, last + start
            if last <= self._sent or first >= until:
                continue
            if last > until:  # may grow with the next pieces
                until = max(first, self._sent)
                break
            released += self._text[self._sent : first]
            self._sent = max(first, self._sent)
            if each.action == "refuse":
                self.refused = True
                return released
            released += f"[{each.name}]"
            self._sent = last
        released += self._text[self._sent : until]
        self._sent = max(self._sent, until)
        return released


def _matches(filters: Sequence[Filter], text: str) -> list[tuple[int, int, Filter]]:
    """Matches in their order, without those that overlap an earlier one; a refusal goes before a mask."""
    found = [(start, end, each) for each in filters for start, end in each.spans(text)]
    found.sort(key=lambda match: (match[0], match[2].action != "refuse", -match[1]))
    kept: list[tuple[int, int, Filter]] = []
    for match in found:
        if not kept or match[0] >= kept[-1][1]:
            kept.append(match)
        elif match[2].action == "refuse" != kept[-1][2].action:
            kept[-1] = match
    return kept
