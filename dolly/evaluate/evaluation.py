"""The results of an evaluation, stored beside the weights.

A training can have several evaluations, with other questions or longer answers. Each is a file named by the hash of
everything that determines the answers, so that the register stage reads the evaluation of its own config.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from dolly import atomic
from dolly.base_model import weights_sha256
from dolly.config import Config
from dolly.config import Evaluate as Settings
from dolly.evaluate.gate import gate
from dolly.evaluate.questions import Question, held_out_questions
from dolly.state import State
from dolly.tables import Tables
from dolly.train.lookup import Training, checksums_file

# Incremented when the same weights would give other answers or other metrics.
_REVISION = 3


@dataclass(frozen=True)
class Evaluation:
    """The figures of one evaluation.

    Args:
        sha256: hash of weights, questions and decoding settings.
        weights_sha256: hash of the evaluated weights.
        engine: the engine, its version and its precision that gave the trained model's answers.
        figures: counts, and the share of right answers before and after with its 95 % interval.
        losses_before: source → held-out loss of the base model.
        losses_after: source → held-out loss of the trained model.
    """

    sha256: str
    weights_sha256: str
    engine: str
    figures: dict[str, float]
    losses_before: dict[str, float]
    losses_after: dict[str, float]

    def reasons(self, settings: Settings) -> list[str]:
        """The reasons why these figures fail a config's gate; empty if they pass."""
        return gate(
            fact_accuracy=self.figures.get("fact_accuracy_after"),
            min_fact_accuracy=settings.min_fact_accuracy,
            losses_before=self.losses_before,
            losses_after=self.losses_after,
            max_loss_ratio=settings.max_loss_ratio,
        )

    def write(self, training: Training) -> None:
        """Writes it to the training's folder."""
        folder = training.folder / "evaluations"
        folder.mkdir(exist_ok=True)
        atomic.write_json(folder / f"{self.sha256}.json", asdict(self))


@dataclass(frozen=True)
class AskedQuestions:
    """The questions of an evaluation, its hash and that of the weights."""

    sha256: str
    weights_sha256: str
    questions: list[Question]


def evaluation_of(config: Config, state: State, tables: Tables, training: Training) -> AskedQuestions:
    """The questions that a config asks a training, with the hash of that evaluation.

    The questions come from the version of the gold rows that the training names.
    """
    settings = config.evaluate
    questions = held_out_questions(
        tables, dataset=config.name, version=training.spec.gold_version, limit=settings.max_questions
    )
    weights = weights_sha256(str(training.weights), cache=checksums_file(state))
    served = (config.serve.engine, config.serve.precision)
    keys = [(question.example_id, question.expected) for question in questions]
    whole = [_REVISION, weights, training.spec.base_sha256, settings.max_new_tokens, served, keys]
    return AskedQuestions(hashlib.sha256(json.dumps(whole).encode()).hexdigest(), weights, questions)


def read_evaluation(training: Training, sha256: str) -> Evaluation | None:
    """A stored evaluation; None if there is none."""
    try:
        return Evaluation(**json.loads((training.folder / "evaluations" / f"{sha256}.json").read_text()))
    except FileNotFoundError:
        return None
