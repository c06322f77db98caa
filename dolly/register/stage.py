"""The register stage: evaluated weights become `challenger`; those that pass the gate `champion`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dolly.errors import DataError
from dolly.register.registry import CHALLENGER, CHAMPION, add_version, find_version, set_alias
from dolly.train.stage import latest_training

if TYPE_CHECKING:
    from dolly.pipeline import Context
    from dolly.result import StageResult


def run(context: Context) -> StageResult:
    """Registers the latest training, once for the same weights."""
    name, folder = context.config.register_.name, latest_training(context)
    if not (folder / "evaluation.json").exists():
        raise DataError(
            found=f"no evaluation in {folder}", expected="the gate's verdict", fix="run the evaluate stage first"
        )
    verdict = json.loads((folder / "evaluation.json").read_text())
    card = json.loads((folder / "final" / "dolly.json").read_text())
    with context.tracker.stage("register") as stage:
        version = find_version(name, weights_sha256=verdict["weights_sha256"])
        new = version is None
        if version is None:
            tags = {
                "weights_sha256": verdict["weights_sha256"],
                "dataset": context.config.name,
                "gold_version": card["gold_version"],
                "training_set": card["training_set"],
                "training": card["training"],
                "prompt_sha256": card["prompt"]["sha256"],
                "evaluation": verdict["evaluation"],
            }
            version = add_version(name, folder / "final", tags=tags)
        aliases = [CHALLENGER] if verdict["reasons"] else [CHALLENGER, CHAMPION]
        for alias in aliases:
            set_alias(name, alias, version)
        stage.tags({"model": name, "version": version, "new_version": new})
        context.say(
            f"{name} version {version} ({'new' if new else 'these weights were registered before'}): "
            + " and ".join(aliases)
        )
        if verdict["reasons"]:
            context.say("it is not champion: " + "; ".join(verdict["reasons"]))
        return stage.result(ids={"model": name, "version": version})
