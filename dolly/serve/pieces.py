"""Turns an answer's tokens into pieces of text, and ends it at a stop string.

A piece is given as soon as it can't change any more: a character may take several tokens, a stop string may have begun,
and white space at the end of an answer is not part of it. Whole answers are made of the same pieces as streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_INCOMPLETE = "\ufffd"  # what the first tokens of a character decode to


class Pieces:
    """The text of one answer, in pieces.

    Args:
        tokenizer: of the model.
        stop: strings that end the answer; they are not part of it.

    Attributes:
        stopped: has a stop string ended the answer?
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str] = ()) -> None:
        self._tokenizer, self._stop = tokenizer, [text for text in stop if text]
        self._ids: list[int] = []
        # Tokens before `_read` are in the text. Those from `_start` on are decoded again with the next ones, as a
        # tokenizer may write a token otherwise at the beginning of a text.
        self._start = self._read = 0
        self._held = ""
        self._begun = False
        self.stopped = False

    def add(self, token: int) -> str:
        """The text that is certain with this token; may be empty."""
        self._ids.append(token)
        known = self._decode(self._ids[self._start : self._read])
        text = self._decode(self._ids[self._start :])
        if text.endswith(_INCOMPLETE) or len(text) <= len(known):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return self._give(text[len(known) :])

    def end(self) -> str:
        """The rest of the text, once the answer has ended."""
        if self.stopped:
            return ""
        known = self._decode(self._ids[self._start : self._read])
        rest = self._held + self._decode(self._ids[self._start :])[len(known) :]
        self._held = ""
        cut = self._cut(rest)
        if cut is not None:
            self.stopped, rest = True, rest[:cut]
        return rest.rstrip() if self._begun else rest.strip()

    def _give(self, new: str) -> str:
        text = self._held + new
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        cut = self._cut(text)
        if cut is not None:
            self.stopped, self._held = True, ""
            return text[:cut].rstrip()
        certain = len(text.rstrip())
        # A stop string may have begun in the last characters.
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(text)), 0, -1):
                if text.endswith(stop[:size]):
                    certain = min(certain, len(text) - size)
                    break
        certain = len(text[:certain].rstrip())
        self._held = text[certain:]
        return text[:certain]

    def _cut(self, text: str) -> int | None:
        """Where the first stop string of a text begins."""
        return min((at for stop in self._stop if (at := text.find(stop)) >= 0), default=None)

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
