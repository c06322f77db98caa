"""Severities: what a config may make of each rule."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.clean.rules import REASONS, checks, fixes, with_severities
from dolly.errors import ConfigError

pytestmark = pytest.mark.spark


def test_without_overrides_nothing_changes(spark: Any) -> None:
    assert [rule.name for rule in with_severities(fixes(), {})] == [rule.name for rule in fixes()]
    assert [rule.name for rule in with_severities(checks(), {})] == [rule.name for rule in checks()]


def test_rules_are_switched_off_or_regraded(spark: Any) -> None:
    overrides = {"mojibake": "off", "zero_width": "fix", "refusal": "reject", "echo": "flag", "truncated": "off"}
    kept = {rule.name: rule.severity for rule in with_severities(checks(), overrides)}
    assert (kept["refusal"], kept["echo"]) == ("reject", "flag")
    assert "truncated" not in kept
    names = [rule.name for rule in with_severities(fixes(), overrides)]
    assert "mojibake" not in names
    assert "zero_width" in names


def test_all_faults_are_told_at_once_with_the_nearest_name() -> None:
    overrides = {
        "refusals": "flag",
        "mojibake": "reject",
        "echo": "fix",
        "empty_output": "off",
        "wrong_language": "flag",
    }
    with pytest.raises(ConfigError) as error:
        with_severities([], overrides)
    assert error.value.faults == [
        "clean.rules.refusals: unknown rule (nearest known: refusal)",
        "clean.rules.mojibake: can be off or fix, found reject",
        "clean.rules.echo: can be off or reject or flag, found fix",
        "clean.rules.empty_output: can be reject, found off",
    ]


def test_every_rule_has_a_reason_of_its_own(spark: Any) -> None:
    rules = [*fixes(), *checks(languages=["en"])]
    assert {rule.name: rule.reason for rule in rules} == REASONS
    assert len(set(REASONS.values())) == len(REASONS)
