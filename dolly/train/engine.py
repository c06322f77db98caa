"""The training loop: DeepSpeed's engine, our order, our loss, our checkpoints."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from dolly.train import checkpoint
from dolly.train.batches import BatchOrder, blocks_of, tensors_of
from dolly.train.memory import BUCKET
from dolly.train.model import LanguageModelLoss
from dolly.train.schedule import learning_rate
from dolly.train.spec import TrainSpec
from dolly.training_set import Example

Report = Callable[[int, int, dict[str, float]], None]


class Stopped(Exception):
    """The training was asked to stop, and has saved a checkpoint; the message is the step."""


class Trainer:
    """Trains one model on this process's share of each step.

    Args:
        model: from `model.build`.
        spec: the training.
        train: rows to train on, the same in all processes.
        evaluation: held-out rows.
        report: called on rank 0 with step, number of steps and metrics.
        asked_to_stop: called after each step; if it is true in any process, all save a checkpoint and raise `Stopped`.
    """

    def __init__(
        self,
        model: Any,
        spec: TrainSpec,
        *,
        train: Sequence[Example],
        evaluation: Sequence[Example],
        report: Report,
        asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        import deepspeed

        self._asked_to_stop, self._stopping = asked_to_stop, False
        self._spec, self._train, self._report = spec, train, report
        self._rank, self._processes = dist.get_rank(), dist.get_world_size()
        self._order = BatchOrder(rows=len(train), batch_size=spec.batch_size, seed=spec.seed)
        self._steps = self._order.steps(epochs=spec.epochs, max_steps=spec.max_steps)
        self._evaluation = _by_source(evaluation, limit=spec.max_eval_rows)
        module = LanguageModelLoss(model)
        parameters = [p for p in module.parameters() if p.requires_grad]
        self._engine, *_ = deepspeed.initialize(
            model=module, model_parameters=parameters, config=deepspeed_config(spec)
        )
        self.state: dict[str, Any] = {
            "step": 0,
            "tokens": 0,
            "trained_tokens": 0,
            "seconds": 0.0,
            "losses": {},
            # The step with the lowest held-out loss; its checkpoint is kept.
            "best": {"step": -1, "loss": None},
            "step_losses": [],
            # A hash of all row ids so far, in the order in which they were trained on.
            "order": "",
        }

    @property
    def model(self) -> Any:
        """The causal LM in training."""
        return self._engine.module.model

    def run(self) -> dict[str, Any]:
        """Trains from the newest checkpoint, or from the start, to the end; returns the state."""
        folder = Path(self._spec.output, "checkpoints")
        self.state |= checkpoint.load_newest(self._engine, folder) or {}
        if self.state["step"] == 0:
            self._evaluate("first")
        resumed_at = self.state["step"]
        for step in range(resumed_at, self._steps):
            self._step(step)
            done = step + 1
            evaluate = done == self._steps or done % (self._spec.evaluate_every or self._steps) == 0
            best = evaluate and self._evaluate("last") and self._best_so_far()
            if best or self._stopping or done == self._steps or done % self._spec.checkpoint_every == 0:
                checkpoint.save(self._engine, folder, state=self.state, keep=self._spec.keep_checkpoints)
            if self._stopping and done < self._steps:
                raise Stopped(done)
        return self.state | {"steps": self._steps, "resumed_at": resumed_at}

    def trained_weights(self) -> dict[str, torch.Tensor]:
        """The trainable parameters by name, whole and on the CPU; empty on other ranks than 0."""
        import deepspeed

        weights = {}
        for name, parameter in self.model.named_parameters():
            if not parameter.requires_grad:
                continue
            partitioned = self._spec.stage == 3
            with deepspeed.zero.GatheredParameters([parameter]) if partitioned else nullcontext():
                if self._rank == 0:
                    weights[name] = parameter.detach().cpu().clone()
        return weights

    def _step(self, step: int) -> None:
        spec, started = self._spec, time.monotonic()
        # Per step, so that a resumed training draws the same dropout masks.
        torch.manual_seed(hash((spec.seed, step, self._rank)) % 2**31)
        rate = learning_rate(
            step, peak=spec.learning_rate, steps=self._steps, warmup_share=spec.warmup_share, schedule=spec.schedule
        )
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate
        rows = [self._train[i] for i in self._order.batch(step)]
        trained = sum(row.trained_tokens for row in rows)
        blocks = blocks_of(rows, capacity=spec.block_tokens, processes=self._processes, rank=self._rank)
        # The loss is divided by the tokens with loss of the whole step. DeepSpeed averages over the processes;
        # the factor undoes that.
        scale = self._processes / max(1, trained)
        total = torch.zeros((), device=self._engine.device)
        self._engine.train()
        for block in blocks:
            loss = self._engine(**self._on_device(block))
            self._engine.backward(loss * scale)
            total += loss.detach()
        self._engine.step()
        # The stop flag is reduced with the loss, so that all processes stop in the same step.
        sums = torch.stack([total, torch.tensor(float(self._asked_to_stop()), device=total.device)])
        dist.all_reduce(sums)
        total, self._stopping = sums[0], bool(sums[1])
        seconds = time.monotonic() - started
        tokens = sum(len(row.input_ids) for row in rows)
        ids = " ".join(row.example_id for row in rows)
        self.state["order"] = hashlib.sha256(f"{self.state['order']} {ids}".encode()).hexdigest()
        self.state["step"] = step + 1
        self.state["tokens"] += tokens
        self.state["trained_tokens"] += trained
        self.state["seconds"] += seconds
        loss_per_token = float(total) / max(1, trained)
        self.state["step_losses"].append(loss_per_token)
        metrics = {
            "train/loss": loss_per_token,
            "train/learning_rate": rate,
            "train/tokens_per_second": tokens / seconds,
            "train/tokens_seen": self.state["tokens"],
            "train/cost": self.state["seconds"] / 3600 * spec.price_per_hour,
        }
        if (norm := self._engine.get_global_grad_norm()) is not None:  # ZeRO stage 0 keeps none
            metrics["train/gradient_norm"] = float(norm)
        self._report_metrics(metrics)

    @torch.no_grad()
    def _evaluate(self, moment: str) -> bool:
        """Records the mean loss per token with loss of each source's held-out rows; False if there are none."""
        losses = {}
        self._engine.eval()
        for source, rows in self._evaluation.items():
            parts = blocks_of(rows, capacity=self._spec.block_tokens, processes=1, rank=0)
            total = torch.zeros((), dtype=torch.float64, device=self._engine.device)
            # All ranks make the same number of forward passes: ZeRO-3 gathers weights in each.
            for start in range(0, len(parts), self._processes):
                index = start + self._rank
                loss = self._engine(**self._on_device(parts[min(index, len(parts) - 1)]))
                total += loss if index < len(parts) else 0
            dist.all_reduce(total)
            losses[source] = float(total) / max(1, sum(row.trained_tokens for row in rows))
        self.state["losses"][moment] = losses
        self._report_metrics({f"eval/{source}/loss": loss for source, loss in losses.items()})
        return bool(losses)

    def _best_so_far(self) -> bool:
        """Returns whether the mean of the sources' last losses is the lowest so far, and records it if so."""
        losses = self.state["losses"]["last"]
        mean, lowest = sum(losses.values()) / len(losses), self.state["best"]["loss"]
        if lowest is not None and mean >= lowest:
            return False
        self.state["best"] = {"step": self.state["step"], "loss": mean}
        return True

    def _on_device(self, block: Sequence[Example]) -> dict[str, Any]:
        device = self._engine.device
        return {
            name: value.to(device) if torch.is_tensor(value) else value for name, value in tensors_of(block).items()
        }

    def _report_metrics(self, metrics: dict[str, float]) -> None:
        if self._rank == 0:
            self._report(self.state["step"], self._steps, metrics)


def deepspeed_config(spec: TrainSpec) -> dict[str, Any]:
    """DeepSpeed's config; schedule, batches and normalisation are ours, so they are not in it."""
    # DeepSpeed's own Adam for the CPU needs a compiler at run time; torch's does not.
    offload = {"offload_optimizer": {"device": "cpu", "pin_memory": torch.cuda.is_available()}} if spec.offload else {}
    return {
        "zero_force_ds_cpu_optimizer": False,
        "train_micro_batch_size_per_gpu": 1,
        # Each step has as many blocks as its rows fill.
        "managed_gradient_accumulation": False,
        "gradient_clipping": spec.clip_norm,
        "zero_optimization": {"stage": spec.stage, "reduce_bucket_size": BUCKET} | offload,
        "bf16": {"enabled": spec.dtype == "bfloat16"},
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": spec.learning_rate,
                "betas": list(spec.betas),
                "weight_decay": spec.weight_decay,
                # torch's own: DeepSpeed's fused ones need a compiler at run time.
                "torch_adam": True,
                "fused": True,  # one kernel a step: no temporary copies
            },
        },
        "steps_per_print": 2**31,
    }


def _by_source(rows: Sequence[Example], *, limit: int | None) -> dict[str, list[Example]]:
    """Rows of each source, at most `limit` of each (ids are hashes, so the first are a fair sample)."""
    sources: dict[str, list[Example]] = {}
    for row in rows:
        sources.setdefault(row.source, []).append(row)
    return {source: sorted(sources[source][:limit], key=lambda row: len(row.input_ids)) for source in sorted(sources)}
