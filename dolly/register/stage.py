"""The register stage: evaluated weights become `challenger`, and `champion` if they pass the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dolly.errors import DataError
from dolly.evaluate.evaluation import Evaluation, evaluation_of, read_evaluation
from dolly.register.description import describe_model, describe_version
from dolly.register.registry import CHALLENGER, CHAMPION, add_version, describe, find_version, set_alias
from dolly.result import StageResult
from dolly.train.lock import locked
from dolly.train.lookup import SAME_OVERRIDES, Training, finished_training

if TYPE_CHECKING:
    from dolly.pipeline import Context


def run(context: Context) -> StageResult:
    """Registers the training that the config names, unless its weights are registered, and sets the aliases.

    Raises:
        DataError: the training is not finished, or has no evaluation of this config.
    """
    config, name = context.config, context.config.register_.name
    training = finished_training(config, context.state, context.tables)
    evaluation = _evaluation(context, training)
    reasons = evaluation.reasons(config.evaluate)
    with context.tracker.stage("register") as stage:
        # Two processes that register the same weights at once would make two versions of them.
        with locked(training.folder, context.say):
            version = find_version(name, weights_sha256=evaluation.weights_sha256)
            new = version is None
            if version is None:
                version = add_version(name, training.weights, tags=_tags(training, evaluation.weights_sha256))
        text = describe_version(training, evaluation, reasons)
        judged = {"evaluation": evaluation.sha256, "engine": evaluation.engine}
        describe(name, version, model=describe_model(name), text=text, tags=judged)
        aliases = [CHALLENGER] if reasons else [CHALLENGER, CHAMPION]
        for alias in aliases:
            set_alias(name, alias, version)
        stage.tags({"model": name, "version": version, "new_version": new, "training": training.spec.sha256})
        context.say(
            f"{name} version {version} ({'new' if new else 'these weights were registered before'}): "
            + " and ".join(aliases)
        )
        if reasons:
            context.say("it is not champion: " + "; ".join(reasons))
        return stage.result(ids={"model": name, "version": version, "aliases": ",".join(aliases)})


def _evaluation(context: Context, training: Training) -> Evaluation:
    """The evaluation that the config names."""
    config = context.config
    asked = evaluation_of(config, context.state, context.tables, training)
    evaluation = read_evaluation(training, asked.sha256)
    if evaluation is None:
        others = len(list(training.folder.glob("evaluations/*.json")))
        raise DataError(
            found=f"{others} evaluations of the training {training.spec.sha256[:12]}, none as this config evaluates",
            expected=f"the evaluation {asked.sha256[:12]}: {len(asked.questions)} questions, "
            f"evaluate.max_new_tokens={config.evaluate.max_new_tokens}, serve.engine={config.serve.engine}, "
            f"serve.precision={config.serve.precision}",
            fix=f"run dolly evaluate CONFIG {SAME_OVERRIDES}",
        )
    return evaluation


def _tags(training: Training, weights_sha256: str) -> dict[str, Any]:
    """Tags with a version's origin."""
    card = training.card
    return {
        "weights_sha256": weights_sha256,
        "dataset": training.spec.dataset,
        "gold_version": card["gold_version"],
        "training_set": card["training_set"],
        "training": card["training"],
        "prompt_sha256": card["prompt"]["sha256"],
    }
