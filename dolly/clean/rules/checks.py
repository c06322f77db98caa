"""The checks: which rows are rejected, which are flagged."""

from __future__ import annotations

from collections.abc import Sequence

from dolly.clean.rules.alpaca import alpaca_checks
from dolly.clean.rules.arithmetic import arithmetic_checks
from dolly.clean.rules.boilerplate import boilerplate_checks
from dolly.clean.rules.degenerate import degenerate_checks
from dolly.clean.rules.kinds import Check
from dolly.clean.rules.shape import content_checks, language_checks, length_checks, structure_checks


def checks(
    *,
    max_characters: int = 50_000,
    min_question_characters: int = 1,
    max_question_characters: int | None = None,
    min_answer_characters: int = 1,
    max_answer_characters: int | None = None,
    languages: Sequence[str] = (),
    min_language_score: float = 0.5,
    max_repeats: int = 4,
) -> list[Check]:
    """The checks in the order in which a row's first rejection is found.

    Args:
        max_characters: of questions, context and answers together.
        min_question_characters: of questions and context.
        max_question_characters: likewise; None has no limit.
        min_answer_characters: of all answers.
        max_answer_characters: likewise; None has no limit.
        languages: those to keep, as the column `language` names them; empty keeps all.
        min_language_score: from which `language_score`, 0 to 1, a language counts.
        max_repeats: how often the same words, or the same line, may follow one another.
    """
    return [
        *structure_checks(),
        *length_checks(
            max_characters=max_characters,
            question_characters=(min_question_characters, max_question_characters),
            answer_characters=(min_answer_characters, max_answer_characters),
        ),
        *language_checks(languages=languages, min_score=min_language_score),
        *boilerplate_checks(),
        *alpaca_checks(),
        *degenerate_checks(max_repeats=max_repeats),
        *arithmetic_checks(),
        *content_checks(),
    ]
