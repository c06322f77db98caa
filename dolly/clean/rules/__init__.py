"""The cleaning rules, each a named Spark expression with a severity and a reason for a reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dolly.clean.rules import alpaca, arithmetic, boilerplate, degenerate, shape
from dolly.clean.rules.checks import checks
from dolly.clean.rules.fixes import REASONS as FIX_REASONS
from dolly.clean.rules.fixes import fixes
from dolly.clean.rules.kinds import Check, Fix, Rule, Severity, regraded

__all__ = ["REASONS", "Check", "Fix", "Severity", "checks", "fixes", "with_severities"]

_CHECK_REASONS = {
    name: reason
    for module in (shape, alpaca, arithmetic, boilerplate, degenerate)
    for name, reason in module.REASONS.items()
}
REASONS: dict[str, str] = FIX_REASONS | _CHECK_REASONS
# A row without a question or an answer can't be trained on; a config can't change this.
_ALWAYS_REJECTED = ("empty_instruction", "empty_output")


def with_severities(rules: Sequence[Rule], overrides: Mapping[str, str]) -> list[Rule]:
    """The rules with the severities of `clean.rules`; those that are off are left out.

    Args:
        rules: fixes or checks; the same overrides serve for both lists.
        overrides: rule name → `off`, `fix`, `reject` or `flag`.

    Raises:
        ConfigError: an unknown name, or a severity that the rule can't have.
    """
    known: dict[str, tuple[str, ...]] = dict.fromkeys(FIX_REASONS, ("off", "fix"))
    known |= dict.fromkeys(_CHECK_REASONS, ("off", "reject", "flag"))
    known |= dict.fromkeys(_ALWAYS_REJECTED, ("reject",))
    return regraded(rules, overrides, known=known)
