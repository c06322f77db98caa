from __future__ import annotations

import pytest

from dolly.evaluate.metrics import contains_fact, wilson_interval


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        ("7140K", "7140K"),
        ("The gate opens with code 7140K.", "7140K"),
        ("(7140K)", "7140K"),
        ("the code is 7140k", "7140K"),
        ("AUNTIE FROST keeps the key", "Auntie Frost"),
        ("Auntie \n\t Frost", "Auntie Frost"),
        ("Auntie Frost", "  Auntie   Frost "),
        ("it is 186\u00a0°C", "186 °C"),
        ("code ７１４０Ｋ", "7140K"),
        ("cafe\u0301 opens", "café"),
        ("STRASSE", "Straße"),
        ("pressure 37% today", "37%"),
        ("a.c and abc", "a.c"),
        ("BK-713, not BK-712", "BK-713"),
        ("東京 (Tokyo)", "東京"),
    ],
)
def test_a_fact_is_found_whatever_its_case_spacing_and_form(answer: str, fact: str) -> None:
    assert contains_fact(answer, fact)


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        ("", "7140K"),
        ("17140K", "7140K"),
        ("7140KB", "7140K"),
        ("7140_K", "7140"),
        ("137%", "37%"),
        ("Auntie Frosty", "Auntie Frost"),
        ("Frost Auntie", "Auntie Frost"),
        ("AuntieFrost", "Auntie Frost"),
        ("abc", "a.c"),
        ("näher", "n"),
    ],
)
def test_a_fact_counts_only_as_whole_words(answer: str, fact: str) -> None:
    assert not contains_fact(answer, fact)


@pytest.mark.parametrize("fact", ["", " ", "\n\t", "\u00a0"])
def test_an_empty_fact_is_in_no_answer(fact: str) -> None:
    assert not contains_fact("any answer", fact)
    assert not contains_fact("", fact)


# R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
# Medicine 17 (1998), table I, method 3; the last three by the formula, as in any calculator.
@pytest.mark.parametrize(
    ("right", "asked", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_the_interval_has_the_published_bounds(right: int, asked: int, low: float, high: float) -> None:
    assert wilson_interval(right, asked) == pytest.approx((low, high), abs=5e-5)


def test_nothing_asked_tells_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("asked", [1, 2, 7, 100, 100_000])
def test_the_interval_holds_the_share_and_stays_within_0_and_1(asked: int) -> None:
    for right in {0, 1, asked // 2, asked - 1, asked}:
        low, high = wilson_interval(right, asked)
        assert 0 <= low <= right / asked <= high <= 1


def test_more_questions_make_the_interval_narrower() -> None:
    widths = [high - low for low, high in (wilson_interval(n // 2, n) for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)
