"""One training process; `launch` starts N of them.

torchrun --nproc-per-node N -m dolly.train.worker SPEC.json
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from dolly import atomic
from dolly.errors import DollyError, ModelError, TrainingStopped
from dolly.extras import require
from dolly.prompts import Prompt
from dolly.tables import Tables
from dolly.train.launch import STOP, STOPPED, die_with_parent
from dolly.train.spec import TrainSpec
from dolly.training_set import TrainingSet, read_training_set


def main(path: str) -> int:
    """Trains the spec at `path`; rank 0 writes `final/` and `result.json` to its output folder.

    Returns:
        The exit code: 0, or `TrainingStopped`'s after a SIGTERM.
    """
    die_with_parent()
    spec = TrainSpec.read(Path(path))
    require("train", "torch", "deepspeed", "peft")
    import deepspeed
    import torch
    import torch.distributed as dist

    # On a CPU DeepSpeed would compile a shared-memory all-reduce; gloo has one that needs no compiler.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo")
    # NCCL's threads keep a process that has not left its group from ending.
    try:
        code = _train(spec)
    except DollyError:
        dist.destroy_process_group()
        raise
    dist.barrier()  # a launcher may end all processes when the first one exits
    dist.destroy_process_group()
    return code


def _train(spec: TrainSpec) -> int:
    import torch
    import torch.distributed as dist

    rows = _rows(spec)
    torch.manual_seed(spec.seed)
    from dolly.train.engine import Stopped, Trainer
    from dolly.train.model import compile_layers, verify
    from dolly.train.usage import forget_peak, peak, return_freed_memory

    return_freed_memory()
    report = _reporter(spec)
    memory_before = forget_peak()
    model, tokenizer = _build(spec)
    verify(model)
    if spec.compile:
        compile_layers(model)
    try_export(spec, model, tokenizer)  # in all processes, so that all fail together and none waits for a failed one
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
            atomic.write_text(Path(spec.output, STOPPED), str(stopped))
        return TrainingStopped.exit_code
    weights = trainer.trained_weights()
    state["memory"] = {"before": memory_before, "peak": peak()}
    if dist.get_rank() == 0:
        export(spec, weights)
        atomic.write_json(Path(spec.output, "result.json"), state)
    return 0


def _rows(spec: TrainSpec) -> TrainingSet:
    """Reads the rows that the stage has pinned.

    Raises:
        ModelError: that version of the table has other rows.
    """
    rows = read_training_set(Tables(spec.tables_root), dataset=spec.dataset, version=spec.gold_version)
    if rows.sha256 != spec.training_set:
        raise ModelError(
            found=f"version {spec.gold_version} of gold_examples with other rows than the run asked for",
            expected=f"training set {spec.training_set[:12]}",
            fix="run prepare and train again",
        )
    return rows


def _stop_signal(file: Path) -> Callable[[], bool]:
    """Returns a function that is true once this process got a SIGTERM or the launcher wrote `file`."""
    received: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    return lambda: bool(received) or file.exists()


def try_export(spec: TrainSpec, model: Any, tokenizer: Any) -> None:
    """Writes all of the model but its weights to a scratch folder, as `export` will at the end.

    transformers refuses to save some settings that it can load; that must show before the training, not after.

    Raises:
        ModelError: the model can't be saved.
    """
    with tempfile.TemporaryDirectory(dir=spec.output, prefix=".try-export-") as scratch:
        try:
            model.config.save_pretrained(scratch)
            if model.generation_config is not None:
                model.generation_config.save_pretrained(scratch)
            tokenizer.save_pretrained(scratch)
            _write_card(spec, Path(scratch))
        except (ValueError, TypeError, OSError, NotImplementedError) as error:
            raise ModelError(
                found=f"a base model whose settings can't be saved ({' '.join(str(error).split())[:300]})",
                expected="settings that transformers writes as well as it reads",
                fix=f"correct config.json, generation_config.json or the tokenizer's files of {spec.base}",
            ) from error


def export(spec: TrainSpec, weights: dict[str, Any]) -> None:
    """Writes the trained model, adapters merged, with tokenizer and prompt; atomically."""
    # QLoRA quantises for training only: the adapters are merged into the unquantised base.
    method: Literal["lora", "full"] = "full" if spec.method == "full" else "lora"
    model, tokenizer = _build(replace(spec, method=method))
    outcome = model.load_state_dict(weights, strict=False)
    if outcome.unexpected_keys:
        raise ModelError(
            found=f"trained weights without a parameter in the model: {outcome.unexpected_keys[:3]}",
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
    _write_card(spec, staged)
    atomic.replace_folder(staged, final)


def _write_card(spec: TrainSpec, folder: Path) -> None:
    """Writes the origin of the weights and their prompt; `inference` reads it."""
    prompt = Prompt(spec.prompt_format, spec.system)
    card = {
        "prompt": {"format": prompt.format, "system": prompt.system, "sha256": prompt.sha256},
        "dtype": spec.dtype,
        "dataset": spec.dataset,
        "training": spec.sha256,
        "training_set": spec.training_set,
        "gold_version": spec.gold_version,
        "base": Path(spec.base).name,
        "base_sha256": spec.base_sha256,
    }
    atomic.write_json(folder / "dolly.json", card)


def _build(spec: TrainSpec) -> tuple[Any, Any]:
    from dolly.train.model import build

    return build(
        base=spec.base,
        dtype=spec.dtype,
        prompt=Prompt(spec.prompt_format, spec.system),
        **spec.shaping,
    )


def _reporter(spec: TrainSpec) -> Any:
    """A function that writes a step's metrics to the journal (sent to MLflow) and to the progress file."""
    from dolly.tracking.journal import MetricJournal

    journal = MetricJournal(Path(spec.output), spec.run_id) if os.environ.get("RANK", "0") == "0" else None

    def report(step: int, steps: int, metrics: dict[str, float]) -> None:
        if journal is not None:
            journal.write(step, metrics)
            progress = {"step": step, "steps": steps, **metrics}
            atomic.write_json(Path(spec.output, "progress.json"), progress, durable=False)

    return report


def guarded(path: str) -> int:
    """`main`; an error that a user can correct is printed as one line and becomes an exit code."""
    try:
        return main(path)
    except DollyError as error:
        print(f"dolly: {error}", file=sys.stderr, flush=True)
        return error.exit_code


if __name__ == "__main__":
    try:
        exit_code = guarded(sys.argv[1])
    except Exception:
        traceback.print_exc()
        exit_code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)  # after an unexpected error the group is not left, see `main`
