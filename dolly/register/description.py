"""Descriptions of registered models in MLflow, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dolly.evaluate.evaluation import Evaluation
from dolly.train.lookup import Training


def describe_model(name: str) -> str:
    """Describes a registered model and its aliases."""
    return (
        "A language model fine-tuned by Dolly.\n\n"
        "- `challenger`: the version that was registered last\n"
        "- `champion`: the version that last passed the gate; it is the one that is served\n\n"
        f'`dolly ask --model {name} "…"` asks the champion; `dolly serve CONFIG` serves it.\n'
    )


def describe_version(training: Training, evaluation: Evaluation, reasons: Sequence[str]) -> str:
    """Describes one version: its origin, its metrics and the gate's verdict."""
    spec, result = training.spec, training.result
    rows = {
        "data set": f"`{spec.dataset}`, gold_examples version {training.card['gold_version']}",
        "training set": f"`{spec.training_set}`",
        "base": f"{training.card['base']} (`{spec.base_sha256[:12]}`)",
        "method": _method(training),
        "prompt": spec.prompt_format,
        "training": f"`{spec.sha256}`: {result['steps']} steps, {result['tokens']:,} tokens, "
        f"{result['trained_tokens']:,} with loss",
        "measured with": evaluation.engine,
        "command": "`dolly train CONFIG`, with `config.yaml` of the parent run as CONFIG",
    }
    verdict = "passed" if not reasons else "**not passed**: " + "; ".join(reasons)
    return f"Gate: {verdict}\n\n{_table(('', ''), rows)}\n{_figures(evaluation)}"


def _method(training: Training) -> str:
    spec = training.spec
    adapters = f", rank {spec.lora_rank}, alpha {spec.lora_alpha}" if spec.method != "full" else ""
    epochs = "epoch" if spec.epochs == 1 else "epochs"
    rate = f", learning rate {spec.learning_rate:g}, {spec.epochs:g} {epochs}, batch of {spec.batch_size} rows"
    return f"{spec.method}{adapters}{rate}"


def _figures(evaluation: Evaluation) -> str:
    """A table of the metrics before and after training."""
    figures = evaluation.figures
    rows = {}
    if "fact_accuracy_after" in figures:
        share = {moment: _share(figures, moment) for moment in ("before", "after")}
        rows[f"facts right, of {figures['fact_questions']:.0f} (95 % interval)"] = " | ".join(share.values())
    for source, before in evaluation.losses_before.items():
        rows[f"held-out loss, {source}"] = f"{before:.3f} | {evaluation.losses_after[source]:.3f}"
    return _table(("held out", "before", "after"), rows) if rows else ""


def _share(figures: Mapping[str, float], moment: str) -> str:
    share, low, high = (figures[f"fact_accuracy_{moment}{end}"] for end in ("", "_low", "_high"))
    return f"{share:.1%} ({low:.1%} to {high:.1%})"


def _table(head: Sequence[str], rows: Mapping[str, str]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())]) + "\n"
