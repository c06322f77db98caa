"""Makes text from data fit for the page: short, printable, without personal data."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dolly.clean.privacy.detector import Detector

DETAIL_CHARACTERS = 80
NAME_CHARACTERS = 60
_ID_CHARACTERS = 12
_ID = re.compile(rf"\b([0-9a-f]{{{_ID_CHARACTERS}}})[0-9a-f]{{20,}}\b")
# Limits the text that patterns search; much longer than what is shown.
_SEARCHED = 1_000


def short_id(row_id: str) -> str:
    """The beginning of a row's id, enough for `dolly rows`."""
    return row_id[:_ID_CHARACTERS]


def shown(text: str | None, *, characters: int) -> str:
    """A text from data, for figures: ids shortened, personal data named by its kind, then cut.

    Characters that are not printable or change the text direction become U+FFFD. The page escapes HTML.
    """
    short = _ID.sub(r"\1", (text or "")[:_SEARCHED])
    for span in reversed(_detector().spans(short)):
        short = f"{short[: span.start]}[{span.kind}]{short[span.end :]}"
    short = " ".join(short.split())
    short = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in short)
    return short if len(short) <= characters else short[: characters - 1] + "…"


@lru_cache(maxsize=1)
def _detector() -> Detector:
    from dolly.clean.privacy.detector import Detector

    return Detector()
