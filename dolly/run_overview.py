"""A run's name, parameters, headline figures and description in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dolly.config import Config
from dolly.result import StageResult
from dolly.secrets import without_secrets

# Logged also if they have their default: trainings are compared by them.
_COMPARED = ("model.base", "train.method", "train.learning_rate", "train.epochs", "train.batch_size", "seed")
# Addresses: they are in config.yaml.
_NOT_PARAMETERS = ("home", "state.", "spark.", "serve.")
# Part of the name already, or without effect on results.
_NAMED = ("train.method", "train.lora.rank", "train.learning_rate", "train.epochs", "train.max_steps", "model.base")
_NAME_CHARACTERS = 120


def run_name(config: Config, stages: Sequence[str], overrides: Sequence[str] = ()) -> str:
    """The stages and settings of a run: `lora r16 lr 2e-3 4 epochs`, `train lora r16 lr 2e-3 4 epochs seed=18`.

    The UI's table shows some 20 characters. The experiment's name already names the data set.

    Args:
        config: the experiment.
        stages: the stages to run, in their order.
        overrides: key=value arguments of the command line, which distinguish this run.
    """
    whole = (stages[0], stages[-1]) == ("ingest", "serve")
    parts = [] if whole else [" → ".join(dict.fromkeys((stages[0], stages[-1])))]
    if set(stages) & {"train", "evaluate", "register", "serve"}:
        parts += _training_words(config)
    else:
        parts += [override for override in overrides if override.startswith(_NAMED)]
    parts += [override for override in overrides if not override.startswith(_NAMED + _NOT_PARAMETERS)]
    return " ".join(parts)[:_NAME_CHARACTERS]


def _training_words(config: Config) -> list[str]:
    train, default = config.train, Config.model_fields["model"].default.base
    words = [] if config.model.base == default else [config.model.base.rstrip("/").rpartition("/")[2]]
    words.append(train.method if train.method == "full" else f"{train.method} r{train.lora.rank}")
    words.append(f"lr {_short(train.learning_rate)}")
    epochs = "epoch" if train.epochs == 1 else "epochs"
    words.append(f"{train.max_steps} steps" if train.max_steps else f"{train.epochs:g} {epochs}")
    return words


def _short(number: float) -> str:
    """0.002 → 2e-3."""
    digits, _, power = f"{number:e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def run_params(config: Config) -> dict[str, Any]:
    """The flattened keys that differ from their defaults, and those by which trainings are compared."""
    every = _flat(without_secrets(config.model_dump(mode="json", by_alias=True)))
    changed = _flat(without_secrets(config.model_dump(mode="json", by_alias=True, exclude_defaults=True)))
    selected = {key: value for key, value in changed.items() if not key.startswith(_NOT_PARAMETERS)}
    return {key: every[key] for key in _COMPARED} | selected


def headline(results: Mapping[str, StageResult]) -> dict[str, float]:
    """The figures by which whole runs are compared, from those of the stages.

    Args:
        results: name → outcome of the stages that have ended.
    """
    figures: dict[str, float] = {}
    if ingest := results.get("ingest"):
        figures["rows_in"] = sum(value for key, value in ingest.figures.items() if key.endswith("/in"))
    if prepare := results.get("prepare"):
        figures["rows_gold"] = prepare.figures["gold"]
        figures["train_tokens"] = prepare.figures["train/tokens"]
    for stage, prefixes in {
        "train": ("loss_before/", "loss_after/", "steps", "tokens_per_second"),
        "evaluate": ("fact_accuracy_", "fact_questions", "gate_passed", "loss_before/", "loss_after/"),
    }.items():
        if result := results.get(stage):
            figures |= {key: value for key, value in result.figures.items() if key.startswith(prefixes)}
    return figures


def description(
    results: Mapping[str, StageResult],
    figures: Mapping[str, float],
    *,
    stages: Sequence[str],
    overrides: Sequence[str] = (),
    failed: str | None = None,
) -> str:
    """Describes the run in Markdown: stages, before and after, the model's version, the report.

    Args:
        results: name → outcome of the stages that have ended.
        figures: from `headline`.
        stages: the requested stages.
        overrides: key=value arguments of the command line.
        failed: the error that ended the run.
    """
    lines = [f"**{' → '.join(dict.fromkeys((stages[0], stages[-1])))}**"]
    lines[0] += f" with `{' '.join(overrides)}`" if overrides else ""
    if failed:
        lines += ["", f"**Failed**: {failed}"]
    lines += ["", *_before_and_after(figures)]
    if "rows_in" in figures and "rows_gold" in figures:
        lines.append(f"- rows: {figures['rows_in']:,.0f} in, {figures['rows_gold']:,.0f} gold")
    if "steps" in figures:
        lines.append(f"- training: {figures['steps']:,.0f} steps, {figures['tokens_per_second']:,.0f} tokens/s")
    if "gate_passed" in figures:
        lines.append(
            f"- gate: {'passed' if figures['gate_passed'] else 'not passed, see the tags of the run evaluate'}"
        )
    if (model := results.get("register")) and {"model", "version"} <= set(model.ids):
        lines.append(f"- model: {model.ids['model']} version {model.ids['version']}")
    if set(results) & {"ingest", "clean", "prepare"}:
        lines.append("- data: `report.html` among the artifacts of this run")
    return "\n".join([*lines, "- all settings: `config.yaml` among the artifacts of this run"]) + "\n"


def _before_and_after(figures: Mapping[str, float]) -> list[str]:
    """A Markdown table of facts and held-out losses."""
    rows = []
    if "fact_accuracy_after" in figures:
        cells = [
            f"{figures[f'fact_accuracy_{moment}']:.1%} ({figures[f'fact_accuracy_{moment}_low']:.1%} to "
            f"{figures[f'fact_accuracy_{moment}_high']:.1%})"
            for moment in ("before", "after")
        ]
        rows.append(f"| facts right of {figures['fact_questions']:.0f}, 95 % interval | {cells[0]} | {cells[1]} |")
    for key, before in figures.items():
        kind, _, source = key.partition("/")
        if kind == "loss_before":
            rows.append(f"| held-out loss, {source} | {before:.3f} | {figures[f'loss_after/{source}']:.3f} |")
    return ["| | before | after |", "| --- | --- | --- |", *rows, ""] if rows else []


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} → {"a.b": 1}."""
    if isinstance(node, dict):
        pairs = [(str(key), value) for key, value in node.items()]
    elif isinstance(node, list) and any(isinstance(value, dict) for value in node):
        pairs = [(str(position), value) for position, value in enumerate(node)]
    else:
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, value in pairs:
        flat |= _flat(value, f"{prefix}.{key}" if prefix else key)
    return flat
