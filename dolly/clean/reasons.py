"""What each rule of the clean stage means, for a reader of `rejected` and of reports."""

from dolly.clean import conversations
from dolly.clean.rules import REASONS as RULE_REASONS

REASONS: dict[str, str] = {
    **RULE_REASONS,
    **conversations.RULES,
    **conversations.FIXES,
    "benchmark_question": "it holds a question that models are measured by",
    "personal_data": "it holds personal data or a secret",
    "exact_duplicate": "another row has the same texts but for case and white space",
    "near_duplicate": "another row says nearly the same",
    "conflicting_answers": "another row answers the same question differently",
}
