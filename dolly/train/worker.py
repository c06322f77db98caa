"""One training process; `launch` starts N of them.

torchrun --nproc-per-node N -m dolly.train.worker SPEC.json
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from dolly.errors import DollyError, ModelError, TrainingStopped
from dolly.prompts import Prompt
from dolly.tables import Tables
from dolly.train.launch import STOP, STOPPED, die_with_parent
from dolly.train.spec import TrainSpec
from dolly.training_set import read_training_set


def main(path: str) -> int:
    """Trains as the spec at `path` says; rank 0 leaves `final/` and `result.json` in its output."""
    die_with_parent()
    spec = TrainSpec.read(Path(path))
    import deepspeed
    import torch
    import torch.distributed as dist

    # On a CPU it would compile a shared-memory all-reduce first, which gloo does without a compiler.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo")
    rows = read_training_set(Tables(spec.tables_root), dataset=spec.dataset, version=spec.gold_version)
    if rows.sha256 != spec.training_set:
        raise ModelError(
            found=f"version {spec.gold_version} of gold_examples with other rows than the run asked for",
            expected=f"training set {spec.training_set[:12]}",
            fix="run prepare and train again",
        )
    torch.manual_seed(spec.seed)
    from dolly.train.engine import Stopped, Trainer
    from dolly.train.usage import forget_peak, peak, return_freed_memory

    return_freed_memory()
    report = _reporter(spec)
    memory_before = forget_peak()
    model, _ = _build(spec)
    trainer = Trainer(
        model,
        spec,
        train=rows.train,
        evaluation=rows.evaluation,
        report=report,
        asked_to_stop=_stop_signal(Path(spec.output, STOP)),
    )
    try:
        state = trainer.run()
    except Stopped as stopped:
        if dist.get_rank() == 0:
            Path(spec.output, STOPPED).write_text(str(stopped))
        dist.barrier()  # a launcher may end all when the first one leaves
        return TrainingStopped.exit_code
    weights = trainer.trained_weights()
    state["memory"] = {"before": memory_before, "peak": peak()}
    if dist.get_rank() == 0:
        export(spec, weights)
        _write(Path(spec.output, "result.json"), state)
    dist.barrier()
    dist.destroy_process_group()
    return 0


def _stop_signal(file: Path) -> Callable[[], bool]:
    """Has this process been sent a SIGTERM, or is the launcher's file there?"""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    return lambda: bool(told) or file.exists()


def export(spec: TrainSpec, weights: dict[str, Any]) -> None:
    """Writes the trained model whole, adapters merged, with tokenizer and prompt; atomically."""
    # The 4 bits of QLoRA are for training: what was learnt is added to the base as it is.
    method: Literal["lora", "full"] = "full" if spec.method == "full" else "lora"
    model, tokenizer = _build(replace(spec, method=method, compile=False))
    outcome = model.load_state_dict(weights, strict=False)
    if outcome.unexpected_keys:
        raise ModelError(
            found=f"trained weights without a place in the model: {outcome.unexpected_keys[:3]}",
            expected="the parameters that were trained",
            fix="this is a defect: report the base model and method",
        )
    if spec.method != "full":
        from dolly.train.model import merge_adapters

        merge_adapters(model)
    final = Path(spec.output, "final")
    staged = final.with_name("final.tmp")
    shutil.rmtree(staged, ignore_errors=True)
    model.save_pretrained(staged)
    tokenizer.save_pretrained(staged)
    prompt = Prompt(spec.prompt_format, spec.system)
    card = {
        "prompt": {"format": prompt.format, "system": prompt.system, "sha256": prompt.sha256},
        "training": spec.sha256,
        "training_set": spec.training_set,
        "gold_version": spec.gold_version,
        "base": Path(spec.base).name,
        "base_sha256": spec.base_sha256,
    }
    (staged / "dolly.json").write_text(json.dumps(card, indent=1))
    shutil.rmtree(final, ignore_errors=True)
    staged.rename(final)


def _build(spec: TrainSpec) -> tuple[Any, Any]:
    from dolly.train.model import build

    return build(
        base=spec.base,
        dtype=spec.dtype,
        prompt=Prompt(spec.prompt_format, spec.system),
        **spec.shaping,
        compiled=spec.compile,
    )


def _reporter(spec: TrainSpec) -> Any:
    """Writes each step's metrics to the journal that the stage sends to MLflow, and the newest to a file it watches."""
    from dolly.tracking.journal import MetricJournal

    journal = MetricJournal(Path(spec.output), spec.run_id) if os.environ.get("RANK", "0") == "0" else None

    def report(step: int, steps: int, metrics: dict[str, float]) -> None:
        if journal is not None:
            journal.write(step, metrics)
            _write(Path(spec.output, "progress.json"), {"step": step, "steps": steps, **metrics})

    return report


def _write(path: Path, content: dict[str, Any]) -> None:
    staged = path.with_suffix(".tmp")
    staged.write_text(json.dumps(content))
    staged.rename(path)


def guarded(path: str) -> int:
    """`main`, with the faults that a user can mend as one line and a code instead of a traceback."""
    try:
        return main(path)
    except DollyError as error:
        print(f"dolly: {error}", file=sys.stderr, flush=True)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(guarded(sys.argv[1]))
