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
    *, max_characters: int = 50_000, min_answer_characters: int = 1, languages: Sequence[str] = ()
) -> list[Check]:
    """The checks, in order: of those that reject a row, the first one is its rule.

    Args:
        max_characters: of questions, context and answers together.
        min_answer_characters: of all answers together.
        languages: those to keep, as the column `language` names them; empty keeps all.
    """
    return [
        *structure_checks(),
        *length_checks(max_characters=max_characters, min_answer_characters=min_answer_characters),
        *language_checks(languages),
        *boilerplate_checks(),
        *alpaca_checks(),
        *degenerate_checks(),
        *arithmetic_checks(),
        *content_checks(),
    ]
