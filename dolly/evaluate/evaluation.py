"""What an evaluation measured, kept beside the weights that it measured.

One training can have several, of other questions or longer answers. Each has a file named by the hash of all that
decides its answers, so that the register stage uses the one that its own config names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
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

# Raised when the same weights would answer otherwise, or be judged by other figures.
_REVISION = 2


@dataclass(frozen=True)
class Evaluation:
    """The figures of one evaluation.

    Args:
        sha256: hash of weights, questions and decoding settings.
        weights_sha256: the weights that answered.
        figures: counts, and the share of right answers before and after with its 95 % interval.
        losses_before: source → held-out loss of the base model.
        losses_after: source → held-out loss of the trained model.
    """

    sha256: str
    weights_sha256: str
    figures: dict[str, float]
    losses_before: dict[str, float]
    losses_after: dict[str, float]

    def reasons(self, settings: Settings) -> list[str]:
        """Why these figures do not pass a config's gate; empty if they do."""
        return gate(
            fact_accuracy=self.figures.get("fact_accuracy_after"),
            min_fact_accuracy=settings.min_fact_accuracy,
            losses_before=self.losses_before,
            losses_after=self.losses_after,
            max_loss_ratio=settings.max_loss_ratio,
        )

    def write(self, training: Training) -> None:
        """Keeps it beside the training's weights."""
        folder = training.folder / "evaluations"
        folder.mkdir(exist_ok=True)
        atomic.write_json(folder / f"{self.sha256}.json", asdict(self))


@dataclass(frozen=True)
class Asked:
    """What an evaluation asks, and its hash."""

    sha256: str
    weights_sha256: str
    questions: list[Question]


def evaluation_of(config: Config, state: State, tables: Tables, training: Training) -> Asked:
    """The evaluation of a training that a config names.

    The questions are of the newest gold rows: a training is found by the hash of its rows, so that their split and
    tokens are those it was trained with.
    """
    settings = config.evaluate
    questions = held_out_questions(
        tables, dataset=config.name, version=training.spec.gold_version, limit=settings.max_questions
    )
    weights = weights_sha256(str(training.weights), cache=checksums_file(state))
    return Asked(_sha256(weights, training.spec.base_sha256, settings.max_new_tokens, questions), weights, questions)


def read_evaluation(training: Training, sha256: str) -> Evaluation | None:
    """A stored evaluation; None if there is none."""
    try:
        return Evaluation(**json.loads((training.folder / "evaluations" / f"{sha256}.json").read_text()))
    except FileNotFoundError:
        return None


def _sha256(weights: str, base: str, max_new_tokens: int, questions: Sequence[Question]) -> str:
    asked = [(question.example_id, question.expected) for question in questions]
    return hashlib.sha256(json.dumps([_REVISION, weights, base, max_new_tokens, asked]).encode()).hexdigest()
