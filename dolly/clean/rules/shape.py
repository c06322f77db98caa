"""What any row must have: a question, an answer, a length, a language, characters that were not lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dolly.clean.rules.kinds import Check, guarded

if TYPE_CHECKING:
    from pyspark.sql import Column

REASONS = {
    "empty_instruction": "there is no question",
    "empty_output": "there is no answer",
    "too_many_characters": "the row is longer than clean.max_characters",
    "short_answer": "the answer is shorter than the limit",
    "wrong_language": "the row is in a language that clean.languages does not name",
    "only_punctuation": "the question has no letter, digit or symbol",
    "no_words": "the question is a number without words or a calculation",
    "lost_characters": "characters were replaced by U+FFFD or U+FFFC before the row came here",
}

_MIN_LANGUAGE_SCORE = 0.5  # of 1; below it, the language counts as unknown


def structure_checks() -> list[Check]:
    """Rows without a question or an answer in any round."""
    from pyspark.sql import functions as F

    def empty(role: str) -> Column:
        return F.exists("turns", lambda turn: (turn["role"] == role) & (turn["content"] == ""))

    no_question = (F.col("instruction") == "") | empty("user")
    no_answer = (F.col("last_answer") == "") | empty("assistant")
    return [
        Check("empty_instruction", "reject", no_question, F.col("answer"), REASONS["empty_instruction"]),
        Check("empty_output", "reject", no_answer, F.col("instruction"), REASONS["empty_output"]),
    ]


def length_checks(*, max_characters: int, min_answer_characters: int) -> list[Check]:
    """Limits in characters, which are themselves allowed."""
    from pyspark.sql import functions as F

    answer = F.length("answer")
    total = F.length("question") + answer
    limits = [
        ("too_many_characters", total, total > max_characters),
        ("short_answer", answer, answer.between(1, min_answer_characters - 1)),
    ]
    return [
        Check(name, "reject", applies, F.concat(length.cast("string"), F.lit(" characters")), REASONS[name])
        for name, length, applies in limits
    ]


def language_checks(languages: Sequence[str]) -> list[Check]:
    """Finds rows with a certain `language` that is not in `languages`; no check if that is empty."""
    from pyspark.sql import functions as F

    if not languages:
        return []
    language, score = F.col("language"), F.col("language_score")
    # Unknown is null, and null rejects nothing.
    wrong = ~language.isin(*languages) & (score >= _MIN_LANGUAGE_SCORE)
    detail = F.concat_ws(" ", language, F.round(score, 2).cast("string"))
    return [Check("wrong_language", "reject", wrong, detail, REASONS["wrong_language"])]


def content_checks() -> list[Check]:
    """Questions without words, characters that an earlier tool lost."""
    from pyspark.sql import functions as F

    question, answer = F.col("question"), F.col("answer")
    # A question that is worth a look has few characters; longer ones are not searched.
    short = F.octet_length(question).between(1, 40)
    punctuation = guarded(short, question.rlike(r"^[\p{P}\s]+$"))
    calculation = question.rlike(r"\d\s*[-+*/×÷^=%!]|[=√]")
    number = guarded(short, question.rlike(r"^[\p{P}\p{N}\s]*\d[\p{P}\p{N}\s]*$") & ~calculation)
    lost = F.lit(False)
    for text in (question, answer):
        not_ascii = F.octet_length(text) != F.length(text)
        lost |= guarded(not_ascii, text.contains("\ufffc") | text.contains("\ufffd"))
    around = F.regexp_extract(F.concat_ws("\n", question, answer), r".{0,20}[\uFFFC\uFFFD].{0,20}", 0)
    return [
        Check("only_punctuation", "reject", punctuation, question, REASONS["only_punctuation"]),
        Check("no_words", "flag", number, question, REASONS["no_words"]),
        Check("lost_characters", "flag", lost, around, REASONS["lost_characters"]),
    ]
