"""The fixes: each text that one must mend, and near misses that it must leave alone."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.clean.apply import with_fixes
from dolly.clean.rules import fixes

pytestmark = pytest.mark.spark

SCHEMA = "id int, context string, turns array<struct<role: string, content: string>>"


def fixed(spark: Any, texts: list[str], *, question: str = "What does it say?") -> list[tuple[str, list[str]]]:
    """Each text as an answer → the mended text and the names of the fixes."""
    rows = [(i, "", [("user", question), ("assistant", text)]) for i, text in enumerate(texts)]
    frame = with_fixes(spark.createDataFrame(rows, SCHEMA).coalesce(1), fixes())
    made = sorted(frame.collect(), key=lambda row: row["id"])
    return [(row["turns"][1]["content"], row["fixes"]) for row in made]


def check(spark: Any, name: str, cases: dict[str, str], **options: Any) -> None:
    """Each text becomes its value by the one fix."""
    found = fixed(spark, list(cases), **options)
    assert found == [(text, [name] if text != before else []) for before, text in cases.items()]


def misread(text: str, encoding: str = "cp1252") -> str:
    return text.encode().decode(encoding)


def test_text_that_was_decoded_with_the_wrong_encoding_is_mended(spark: Any) -> None:
    texts = ["café", "It’s “fine” – really…", "£5 at 20 °C", "3 × 4", "→ €9 ™", "Ünïcödé", "done 😀"]
    cases = {misread(text, "latin-1"): text for text in texts}
    # Five bytes mean nothing in Windows-1252: texts that have them can only have been read as Latin-1.
    cases |= {misread(text): text for text in texts if not set(text.encode()) & {0x81, 0x8D, 0x8F, 0x90, 0x9D}}
    cases |= {"Itâ€™s mixed – and ’fine’": "It’s mixed – and ’fine’", misread("Привет, мир"[:6], "latin-1"): "Привет"}
    cases |= {misread(misread("don’t")): "don’t", "It\u0092s \u0093so\u0094": "It’s “so”"}
    check(spark, "mojibake", cases)


def test_letters_that_only_look_misread_stay(spark: Any) -> None:
    texts = ["„Spaß“", "« l’été… »", "«café»", "NÃO, IRMÃ”", "Â la carte", "PÂ»", "MANHÃ… e", "São João", "DÉJÀ™", "Ðe"]
    check(spark, "mojibake", {text: text for text in texts})


def test_entities_are_decoded_in_prose(spark: Any) -> None:
    cases = {
        "Tom &amp; Ann": "Tom & Ann",
        "5 &lt; 6 &#38; 7 &#x26; 8": "5 < 6 & 7 & 8",
        "it&#39;s&nbsp;caf&eacute; &mdash; &#8217;": "it's café — ’",
        "it&#146;s": "it’s",
        "one level: &amp;lt;": "one level: &lt;",
        "a &amp; b, but `&amp;` and ```\n&lt;\n```": "a & b, but `&amp;` and ```\n&lt;\n```",
    }
    check(spark, "html_entities", cases)


def test_entities_stay_in_code_markup_and_talk_about_it(spark: Any) -> None:
    texts = ["<p>Tom &amp; Ann</p>", "p = &copy; q = &sum;", "AT&T; x & y;", "&#55555555; &#xD800;", "`&amp;`"]
    check(spark, "html_entities", {text: text for text in texts})
    check(spark, "html_entities", {"Write &lt;.": "Write &lt;."}, question="How do I write < in HTML?")


def test_written_out_escapes_become_what_they_mean(spark: Any) -> None:
    cases = {
        r"First.\nSecond.\n\n- third": "First.\nSecond.\n\n- third",
        r"Name:\tJo\r\nAge:\t7": "Name:\tJo\nAge:\t7",
        r"She said \"hi\" and it\'s late": 'She said "hi" and it\'s late',
    }
    check(spark, "escape_sequences", cases)


def test_backslashes_of_code_paths_and_formulas_stay(spark: Any) -> None:
    texts = [r"print('a\nb')", r"C:\new\table", r"\nu \times \tau", r'use "\n" here', r"\(x\)\n", "`\\n`", r"a\\nb"]
    check(spark, "escape_sequences", {text: text for text in texts})
    check(spark, "escape_sequences", {r"It is \n": r"It is \n"}, question="How is a newline written?")


def test_line_ends_and_control_characters(spark: Any) -> None:
    check(spark, "line_endings", {"a\r\nb\rc\u2028d": "a\nb\nc\nd", "a\n\tb": "a\n\tb"})
    cases = {
        "a\u0007b\u001b\u007f": "ab",
        "\u001b[1;31mred\u001b[0m text": "red text",
        "\u001b]0;title\u0007shell": "shell",
        "rate(x[5m]) [0m": "rate(x[5m]) [0m",
    }
    check(spark, "control_characters", cases)
    check(spark, "byte_order_mark", {"\ufeffa": "a"})


def test_invisible_characters_go_unless_a_script_or_an_emoji_needs_them(spark: Any) -> None:
    family, flag = "👨\u200d👩\u200d👧 ❤️\u200d🔥", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
    persian, hindi, thai = "می\u200cخواهم", "क्\u200dष", "สวัส\u200bดี"
    cases = {"a\u200bb\u00adc\u2060d\u200de\u200cf": "abcdef", "hi\U000e0068\U000e0069": "hi"}
    cases |= {text: text for text in (family, flag, persian, hindi, thai)}
    check(spark, "zero_width", cases)


def test_direction_controls_go_but_right_to_left_text_keeps_its_marks(spark: Any) -> None:
    cases = {"a\u202eb\u202c\u200e": "ab", "שלום \u200e(1)": "שלום \u200e(1)", "\u2067שלום\u2069\u200f": "שלום\u200f"}
    check(spark, "bidi_controls", cases)


def test_white_space_around_goes(spark: Any) -> None:
    check(spark, "outer_whitespace", {" \u00a0\n a  b\t\u3000": "a  b", "a": "a"})


def test_no_input_markers_empty_the_context_alone(spark: Any) -> None:
    markers = ["No input", "noinput", "<noinput>", "`<noinput>`", "No input required.", "N/A", '"<no input>"']
    markers += ["{\\noinput}", "\\<noinput\\>", "None", "<noinput"]
    others = ["Nonesuch", "no input was read from the sensor", "NA", "none of these", "Anna", "N/A, N/A"]
    rows = [(i, text, [("user", "None"), ("assistant", "N/A")]) for i, text in enumerate(markers + others)]
    made = with_fixes(spark.createDataFrame(rows, SCHEMA), fixes()).orderBy("id").collect()
    assert [row["context"] for row in made] == [""] * len(markers) + others
    assert [row["fixes"] for row in made] == [["no_input_marker"]] * len(markers) + [[]] * len(others)
    assert all([turn["content"] for turn in row["turns"]] == ["None", "N/A"] for row in made)


def test_fixes_follow_one_another_and_are_named_in_order(spark: Any) -> None:
    found = fixed(spark, ["\ufeff one\r\nAT&amp;T\u0007 ", "a&#8203;b&#13;&#10;c"])
    names = ["html_entities", "line_endings", "control_characters", "byte_order_mark", "outer_whitespace"]
    assert found[0] == ("one\nAT&T", names)
    assert found[1] == ("ab\nc", ["html_entities", "line_endings", "zero_width"])
