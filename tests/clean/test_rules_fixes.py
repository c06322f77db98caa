"""The fixes: each text that one must mend, and near misses that it must leave alone."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.clean.apply import with_fixes
from dolly.clean.rules import fixes

pytestmark = pytest.mark.spark

SCHEMA = "id int, context string, turns array<struct<role: string, content: string>>"
QUESTION = "What does it say?"
# Not defined in Windows-1252: a text with one of these bytes can only have been read as Latin-1.
UNDEFINED = {0x81, 0x8D, 0x8F, 0x90, 0x9D}


def misread(text: str, encoding: str = "cp1252") -> str:
    return text.encode().decode(encoding)


def same(*texts: str) -> dict[str, str]:
    return {text: text for text in texts}


ENCODED = ["café", "It’s “fine” – really…", "£5 at 20 °C", "3 × 4", "→ €9 ™", "Ünïcödé", "done 😀"]
MOJIBAKE = {misread(text, "latin-1"): text for text in ENCODED}
MOJIBAKE |= {misread(text): text for text in ENCODED if not set(text.encode()) & UNDEFINED}
MOJIBAKE |= {
    "Itâ€™s mixed – and ’fine’": "It’s mixed – and ’fine’",
    misread("Привет", "latin-1"): "Привет",
    misread(misread("don’t")): "don’t",
    "It\u0092s \u0093so\u0094": "It’s “so”",
}
REAL_LETTERS = same(
    "„Spaß“", "« l’été… »", "«café»", "NÃO, IRMÃ”", "Â la carte", "PÂ»", "MANHÃ… e", "São João", "DÉJÀ™"
)
ENTITIES = {
    "Tom &amp; Ann": "Tom & Ann",
    "5 &lt; 6 &#38; 7 &#x26; 8": "5 < 6 & 7 & 8",
    "it&#39;s&nbsp;caf&eacute; &mdash; &#8217;": "it's café — ’",
    "it&#146;s": "it’s",
    "one level: &amp;lt;": "one level: &lt;",
    "a &amp; b, but `&amp;` and ```\n&lt;\n```": "a & b, but `&amp;` and ```\n&lt;\n```",
}
MARKUP = same("<p>Tom &amp; Ann</p>", "p = &copy; q = &sum;", "AT&T; x & y;", "&#55555555; &#xD800;", "`&amp;`")
ESCAPES = {
    r"First.\nSecond.\n\n- third": "First.\nSecond.\n\n- third",
    r"Name:\tJo\r\nAge:\t7": "Name:\tJo\nAge:\t7",
    r"She said \"hi\" and it\'s late": 'She said "hi" and it\'s late',
}
BACKSLASHES = same(
    r"print('a\nb')", r"C:\new\table", r"\nu \times \tau", r'use "\n" here', r"\(x\)\n", r"`\n`", r"a\\nb"
)
CONTROLS = {
    "a\u0007b\u001b\u007f": "ab",
    "\u001b[1;31mred\u001b[0m text": "red text",
    "\u001b]0;title\u0007shell": "shell",
    "rate(x[5m]) [0m": "rate(x[5m]) [0m",
}
INVISIBLE = {"a\u200bb\u00adc\u2060d\u200de\u200cf": "abcdef", "hi\U000e0068\U000e0069": "hi"} | same(
    "👨\u200d👩\u200d👧 ❤️\u200d🔥",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "می\u200cخواهم",
    "क्\u200dष",
    "สวัส\u200bดี",
)
DIRECTIONS = {
    "a\u202eb\u202c\u200e": "ab",
    "שלום \u200e(1)": "שלום \u200e(1)",
    "\u2067שלום\u2069\u200f": "שלום\u200f",
}
MARKERS = ["No input", "noinput", "<noinput>", "`<noinput>`", "No input required.", "N/A", '"<no input>"']
MARKERS += ["{\\noinput}", "\\<noinput\\>", "None", "<noinput"]
CONTEXTS = ["Nonesuch", "no input was read from the sensor", "NA", "none of these", "Anna", "N/A, N/A"]

# Fix → texts and what they must become by it and no other.
CASES: dict[str, dict[str, str]] = {
    "mojibake": MOJIBAKE | REAL_LETTERS,
    "html_entities": ENTITIES | MARKUP,
    "escape_sequences": ESCAPES | BACKSLASHES,
    "line_endings": {"a\r\nb\rc\u2028d": "a\nb\nc\nd", "a\n\tb": "a\n\tb"},
    "control_characters": CONTROLS,
    "byte_order_mark": {"\ufeffa": "a"},
    "zero_width": INVISIBLE,
    "bidi_controls": DIRECTIONS,
    "outer_whitespace": {" \u00a0\n a  b\t\u3000": "a  b", "a": "a"},
}
# Texts that stay because of what the question speaks of.
ABOUT = {"How do I write < in HTML?": "Write &lt;.", "How is a newline written?": r"As it is \n", "What of C?": "a b"}
IN_ORDER = {
    "\ufeff one\r\nAT&amp;T\u0007 ": (
        "one\nAT&T",
        ["html_entities", "line_endings", "control_characters", "byte_order_mark", "outer_whitespace"],
    ),
    "a&#8203;b&#13;&#10;c": ("ab\nc", ["html_entities", "line_endings", "zero_width"]),
}

# Thousands of pieces to mend: neither Java's stack nor a row's time may be used up.
LONG = {
    "Ã©" * 9_000: "é" * 9_000,
    misread("Привет " * 2_000, "latin-1").strip(): ("Привет " * 2_000).strip(),
    "&amp;" * 9_000: "&" * 9_000,
    "\u200b" * 9_000 + "a": "a",
    "\u001b[0m" * 9_000 + "a": "a",
    r"\"a" * 9_000: '"a' * 9_000,
}

Row = tuple[str, str, str]


@pytest.fixture(scope="module")
def mended(spark: Any) -> dict[Row, tuple[str, str, list[str]]]:
    """Question, context, answer → the context and the answer after the fixes, and their names."""
    answers = [text for cases in CASES.values() for text in cases] + [*IN_ORDER, *LONG]
    rows: list[Row] = [(QUESTION, "", text) for text in answers]
    rows += [(question, "", text) for question, text in ABOUT.items()]
    rows += [("None", context, "N/A") for context in MARKERS + CONTEXTS]
    made = [(i, row[1], [("user", row[0]), ("assistant", row[2])]) for i, row in enumerate(rows)]
    found = with_fixes(spark.createDataFrame(made, SCHEMA).coalesce(1), fixes()).collect()
    return {rows[row["id"]]: (row["context"], row["turns"][1]["content"], row["fixes"]) for row in found}


@pytest.mark.parametrize("name", CASES)
def test_a_fix_mends_its_texts_and_spares_near_misses(mended: Any, name: str) -> None:
    found = {text: mended[QUESTION, "", text][1:] for text in CASES[name]}
    assert found == {text: (after, [name] if after != text else []) for text, after in CASES[name].items()}


def test_rows_that_speak_of_markup_or_escapes_keep_theirs(mended: Any) -> None:
    assert all(mended[question, "", text] == ("", text, []) for question, text in ABOUT.items())


def test_no_input_markers_empty_the_context_alone(mended: Any) -> None:
    found = [mended["None", context, "N/A"] for context in MARKERS + CONTEXTS]
    assert found[: len(MARKERS)] == [("", "N/A", ["no_input_marker"])] * len(MARKERS)
    assert found[len(MARKERS) :] == [(context, "N/A", []) for context in CONTEXTS]


def test_fixes_follow_one_another_and_are_named_in_order(mended: Any) -> None:
    assert {text: mended[QUESTION, "", text][1:] for text in IN_ORDER} == IN_ORDER


def test_long_texts_are_mended_throughout(mended: Any) -> None:
    wrong = [text[:20] for text, after in LONG.items() if mended[QUESTION, "", text][1] != after]
    assert wrong == []
