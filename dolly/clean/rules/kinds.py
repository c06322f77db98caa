"""What a rule is: a fix changes a text, a check rejects or flags a row; and how the config regrades them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from dolly.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import Column

Severity = Literal["off", "fix", "reject", "flag"]


class Fix(NamedTuple):
    """Changes all texts of a row, or only its context; a row that it changes keeps the fix's name.

    `gate` is true for texts that may need it, on their own: a row none of whose texts passes the gate
    of any fix is left alone at once. Without one, every row may need it.
    """

    name: str
    apply: Callable[[Column], Column]
    reason: str
    gate: Callable[[Column], Column] | None = None
    only_context: bool = False


class Check(NamedTuple):
    """Rejects or flags a row for which `applies` is true; `detail` is the offending piece."""

    name: str
    severity: Literal["reject", "flag"]
    applies: Column
    detail: Column
    reason: str


Rule = TypeVar("Rule", Fix, Check)


def guarded(guard: Column, condition: Column) -> Column:
    """`condition` where the cheap `guard` holds, else false.

    Unlike `guard & condition`, of which Spark may evaluate a part for every row that occurs elsewhere, too.
    """
    from pyspark.sql import functions as F

    return F.when(guard, condition).otherwise(F.lit(False))


def regraded(
    rules: Sequence[Rule], overrides: Mapping[str, str], *, known: Mapping[str, Collection[str]]
) -> list[Rule]:
    """The rules with the config's severities; those that are off are left out.

    Args:
        rules: fixes or checks.
        overrides: rule name → severity; names of rules that are not among `rules` change nothing.
        known: every rule's name → the severities that it can have.

    Raises:
        ConfigError: an unknown name, or a severity that the rule can't have.
    """
    faults = [fault for name, severity in overrides.items() if (fault := _fault(name, severity, known))]
    if faults:
        raise ConfigError(source="clean.rules", faults=faults)
    kept = []
    for rule in rules:
        severity = overrides.get(rule.name)
        if isinstance(rule, Check) and severity in ("reject", "flag"):
            kept.append(rule._replace(severity="reject" if severity == "reject" else "flag"))
        elif severity != "off":
            kept.append(rule)
    return kept


def _fault(name: str, severity: str, known: Mapping[str, Collection[str]]) -> str | None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0)
        return f"clean.rules.{name}: unknown rule (nearest known: {''.join(near)})"
    if severity not in known[name]:
        return f"clean.rules.{name}: can be {' or '.join(known[name])}, found {severity}"
    return None
