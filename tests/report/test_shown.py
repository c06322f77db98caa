"""Texts from data: short, printable, without personal data."""

from __future__ import annotations

import pytest

from dolly.report.shown import shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("same as " + "0123456789ab" + "c" * 52, "same as 0123456789ab"),
        ("from ada@example.com, +49 170 1234567", "from [EMAIL], [PHONE]"),
        ("a\x1b[31mb\u202ec\ud800", "a\ufffd[31mb\ufffdc\ufffd"),
        ("  two\n lines ", "two lines"),
        ("price is $5 <b>", "price is $5 <b>"),
        (None, ""),
    ],
)
def test_a_text_is_made_fit_to_be_shown(text: str | None, expected: str) -> None:
    assert shown(text, characters=80) == expected


def test_a_long_text_is_cut_after_personal_data_is_found() -> None:
    cut = shown("x" * 70 + " ada.lovelace@example.com", characters=80)
    assert cut == "x" * 70 + " [EMAIL]"
    assert len(shown("y" * 10_000, characters=80)) == 80
