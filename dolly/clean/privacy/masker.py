"""Masks the columns of a row together, so that a person or secret has the same pseudonym in each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from dolly.accounting import CUT_MARGIN
from dolly.clean.privacy.addresses import FILE_ENDINGS
from dolly.clean.privacy.detector import Detector
from dolly.clean.privacy.pseudonyms import Masked, Pseudonyms, mask
from dolly.clean.privacy.settings import PrivacySettings
from dolly.clean.privacy.text import words

_ENDINGS = FILE_ENDINGS | words(
    "csv tsv tab txt markdown htm pdf docx odt xlsx xlsm jsonl ndjson parquet bak "
    "doc xls ppt pptx odp ods rtf eml msg xml yaml yml log tar bz2 xz tif tiff bmp"
)
_FILE_ENDING = re.compile(rf"(?i)(?:\.(?:{'|'.join(sorted(_ENDINGS))}))+$")
_LONGEST_CACHED = 200  # characters: names of files and categories come again in many rows


class Masker:
    """Masks texts by one detector and one key."""

    def __init__(self, settings: PrivacySettings) -> None:
        self._detector = Detector(kinds=settings.kinds, regions=settings.regions, names=settings.names)
        self._pseudonyms = Pseudonyms(settings.key)
        self._cached = lru_cache(maxsize=4_096)(self._mask)

    def __call__(self, text: str, replaced: Mapping[str, str] | None = None) -> Masked:
        """Masks a text.

        Args:
            text: any text.
            replaced: pieces that another text of the row had replaced. They are replaced here, too, even
                without the word that gave them away there, such as "password".
        """
        text = with_pseudonyms(text, replaced or {})
        return self._cached(text) if len(text) <= _LONGEST_CACHED else self._mask(text)

    def file_name(self, name: str) -> str:
        """Masks a file's name without its endings, which would be taken for a part of an e-mail address."""
        ending = _FILE_ENDING.search(name)
        stem = name[: ending.start()] if ending else name
        return self(stem).text + name[len(stem) :]

    def cut(self, text: str, limit: int, replaced: Mapping[str, str] | None = None) -> Masked:
        """Masks a text and keeps `limit` characters of it.

        Args:
            text: the text; where it was cut before, then after `limit + CUT_MARGIN` characters or more.
            limit: characters of the result.
            replaced: as in a call.
        """
        masked = self(text[: limit + CUT_MARGIN], replaced)
        # What a cut has halved stands in the margin, which is left out.
        end = len(masked.text) - CUT_MARGIN if len(text) >= limit + CUT_MARGIN else len(masked.text)
        return masked._replace(text=masked.text[: min(end, limit)])

    def _mask(self, text: str) -> Masked:
        return mask(text, self._detector, self._pseudonyms)


def with_pseudonyms(text: str, replaced: Mapping[str, str]) -> str:
    """The text with the pseudonyms of all pieces that stand in it as whole words, the longest first."""
    for piece in sorted(replaced, key=len, reverse=True):
        if piece in text:
            text = re.sub(rf"(?<!\w){re.escape(piece)}(?!\w)", replaced[piece], text)
    return text
