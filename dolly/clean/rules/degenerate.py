"""Answers that a model or an export spoilt: loops, echoes, cut ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dolly.clean.rules.kinds import Check, guarded

if TYPE_CHECKING:
    from pyspark.sql import Column

REASONS = {
    "repeated_text": "the answer says the same words or the same line over and over",
    "echo": "the answer only repeats the question",
    "echoed_input": "the answer only repeats the context",
    "truncated": "the answer ends in the middle of a sentence",
    "page_leftover": "the answer ends with a button of the page that it was copied from",
    "unclosed_code": "a code block of the answer has no end",
}
_WORD = r"[\p{L}\p{N}][\p{L}\p{N}'’-]*+"
_GAP = r"[\s\p{P}]{1,3}"
_MOST_REPEATS = 4
_PROBE_CHARACTERS = 24
_WINDOW_CHARACTERS = 300
_ECHO_CHARACTERS = 20
_LOOP_CHARACTERS = 20
_CUT_CHARACTERS = 200
_LINE_CHARACTERS = 80
_ITEM = r"^\s*(?:[-*•·>|#+]|\(?\w{1,3}[.):]\s)"
# Words that no sentence ends with, a comma, a year cut in two.
_HANGING = (
    r"\s(?:and|or|nor|the|a|an|of|with|but|because|from|than|into|your|their|our|its|is|are|was|were|such as)$"
    r"|[\p{L}\p{N}],$|\s(?:in|to|since|from|by|until|of) (?:1[89]|20)$"
)
# A long last clause without an end, after sentences that have theirs; in a short answer it may be the style.
_LONG_CHARACTERS = 800
_UNENDED = r"[\p{Ll})\"”][.!?] [^.!?\n]{20,}[.!?] +\p{Lu}[\p{L}'’-]*,? (?:[\p{Ll}'’-]+,? ){5,80}\p{Ll}+$"
_ABOUT_PAGES = r"(?i)\b(?:button|slogan|headline|call to action|tagline)\b"
_LEFTOVER = (
    r"(?i)[.!?\s](?:view|read|show|see|learn|load|know) (?:more|less)(?: \W{1,3})?$"
    r"|\bclick here to (?:expand|view more)$"
)


def degenerate_checks() -> list[Check]:
    """Checks of how an answer goes on and ends."""
    from pyspark.sql import functions as F

    answer, last = F.col("answer"), F.col("last_answer")
    question, context, task = F.col("question"), F.col("context"), F.col("instruction")
    # Computed once: to index from the end, Spark counts all characters.
    tail = F.substring(last, -_WINDOW_CHARACTERS, _WINDOW_CHARACTERS)
    end = F.substring(tail, -60, 60)

    def check(name: str, severity: Literal["reject", "flag"], applies: Column, detail: Column) -> Check:
        return Check(name, severity, applies, detail, REASONS[name])

    fences = (F.length(last) - F.length(F.replace(last, F.lit("```"), F.lit("")))) / 3
    leftover = guarded(end.rlike(_LEFTOVER), ~question.rlike(_ABOUT_PAGES))
    return [
        check("repeated_text", "reject", _repeats(answer, tail), _repeated_piece(answer)),
        check("echo", "reject", _echoes(answer, question) | _echoes(answer, task), answer),
        # Case and punctuation may be all that was asked to be changed.
        check("echoed_input", "flag", guarded(answer == context, F.length(answer) >= _ECHO_CHARACTERS), answer),
        check("truncated", "flag", _cut(last, tail), end),
        check("page_leftover", "flag", leftover, end),
        check("unclosed_code", "flag", guarded(last.contains("```"), fences % 2 == 1), end),
    ]


def _loop() -> str:
    """The same 3 to 31 words, or the same line, more than `_MOST_REPEATS` times in a row."""
    words = (
        rf"(?<![\p{{L}}\p{{N}}])((?:{_WORD}{_GAP}){{2,30}}?{_WORD})(?:{_GAP}\1){{{_MOST_REPEATS}}}(?![\p{{L}}\p{{N}}])"
    )
    # Rows of a table in markup, statements of a program and the like may well be equal.
    prose = r"[^\n<>{}()=;|]"
    line = rf"(?m)^({prose}*\p{{L}}{{2}}{prose}*)(?:\n+\2){{{_MOST_REPEATS}}}$"
    return f"{words}|{line}"


def _repeats(answer: Column, tail: Column) -> Column:
    """True for an answer with a loop; a pattern with a back reference is too expensive for every row.

    A loop fills the end or the middle of a text, so that a piece from there occurs again nearby, and
    often: only such texts are searched.
    """
    from pyspark.sql import functions as F

    length, probe = F.length(answer), _PROBE_CHARACTERS
    middle = F.substring(answer, (length / 2).cast("int"), F.lit(_WINDOW_CHARACTERS))
    last, inner = F.substring(tail, -probe, probe), F.substring(middle, 1, probe)
    again = F.substring(tail, 1, _WINDOW_CHARACTERS - probe).contains(last)
    again |= F.substring(middle, probe + 1, _WINDOW_CHARACTERS).contains(inner)
    often = _occurs(answer, last) | _occurs(answer, inner)
    long = guarded(again, guarded(often, answer.rlike(_loop())))
    return (
        F.when(length <= _LOOP_CHARACTERS, False)
        .when(length <= _WINDOW_CHARACTERS, answer.rlike(_loop()))
        .otherwise(long)
    )


def _occurs(answer: Column, piece: Column) -> Column:
    from pyspark.sql import functions as F

    return F.length(answer) - F.length(F.replace(answer, piece, F.lit(""))) > _MOST_REPEATS * F.length(piece)


def _repeated_piece(answer: Column) -> Column:
    from pyspark.sql import functions as F

    return F.substring(F.regexp_extract(answer, _loop(), 0), 1, 200)


def _echoes(answer: Column, text: Column) -> Column:
    from pyspark.sql import functions as F

    def plain(text: Column) -> Column:
        return F.trim(F.lower(F.regexp_replace(text, r"[\s\p{P}]+", " ")))

    # A greeting may be answered by the same greeting.
    near = (F.abs(F.length(answer) - F.length(text)) <= 5) & (F.length(answer) >= _ECHO_CHARACTERS)
    return guarded(near, plain(answer) == plain(text))


def _cut(answer: Column, tail: Column) -> Column:
    from pyspark.sql import functions as F

    line = F.substring_index(answer, "\n", -1)
    unended = guarded(F.length(answer) >= _LONG_CHARACTERS, F.substring(line, -400, 400).rlike(_UNENDED))
    long = (F.length(answer) >= _CUT_CHARACTERS) & (F.length(line) >= _LINE_CHARACTERS)
    open_end = guarded(
        F.substring(tail, -1, 1).rlike(r"[\p{Ll},\d]"), F.substring(tail, -60, 60).rlike(_HANGING) | unended
    )
    return guarded(open_end, long & ~F.substring(line, 1, 8).rlike(_ITEM))
