"""The columns of a row are masked together: one pseudonym, whatever the column says around it."""

from __future__ import annotations

import pytest

from dolly.clean.privacy.masker import Masker
from dolly.clean.privacy.settings import PrivacySettings

SETTINGS = PrivacySettings(("EMAIL", "PHONE", "SECRET"), ("US",), (), b"k" * 32)
MASKER = Masker(SETTINGS)
MAIL = MASKER("jane.doe@works.example").text


def test_a_piece_that_another_text_gave_away_is_masked_without_its_context() -> None:
    said = MASKER("The password is Zq7!pass")
    assert MASKER("Zq7!pass").text == "Zq7!pass"  # nothing says that it is one
    assert f"The password is {MASKER('Zq7!pass', said.replaced).text}" == said.text
    assert MASKER("xZq7!passx", said.replaced).text == "xZq7!passx"


@pytest.mark.parametrize("ending", ["", ".md", ".csv", ".tar.gz", ".JSONL", ".txt.bak"])
def test_the_name_of_a_file_has_the_pseudonym_of_the_address(ending: str) -> None:
    assert MASKER.file_name(f"mails/jane.doe@works.example{ending}") == f"mails/{MAIL}{ending}"


@pytest.mark.parametrize("size", [150, 199, 200, 220, 600])
def test_no_part_of_an_address_is_left_by_a_cut(size: int) -> None:
    limit = 300
    for start in range(limit - 30, limit + 1):
        text = "x " * (start // 2) + "jane.doe@works.example " + "y " * size
        kept = MASKER.cut(text[: limit + 200], limit).text
        assert len(kept) <= limit
        assert "jane" not in kept


def test_a_text_that_is_short_enough_is_kept_whole() -> None:
    assert MASKER.cut("x" * 300, 300).text == "x" * 300
    assert MASKER.cut("Ask jane.doe@works.example", 300).text == f"Ask {MAIL}"


def test_the_hash_changes_with_all_that_decides_and_shows_no_key() -> None:
    others = [
        PrivacySettings(("EMAIL",), ("US",), (), b"k" * 32),
        PrivacySettings(SETTINGS.kinds, ("GB",), (), b"k" * 32),
        PrivacySettings(SETTINGS.kinds, ("US",), ("Jane Doe",), b"k" * 32),
        PrivacySettings(SETTINGS.kinds, ("US",), (), b"l" * 32),
    ]
    assert len({SETTINGS.sha256, *(other.sha256 for other in others)}) == 5
    assert (b"k" * 32).hex() not in SETTINGS.sha256 + repr(SETTINGS)
