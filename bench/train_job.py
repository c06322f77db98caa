"""One training on a CPU: what `bench/train_cpu.py` measures; a process of its own for each.

python -m bench.train_job dolly|compiled|trainer alpaca|bank full|lora --batch 4 --steps 40

`dolly` is our Trainer, `compiled` the same with `train.compile`, `trainer` the one of transformers with a collator that
pads each batch to its longest row. The first steps, in which code is compiled and memory first taken, are not timed.
All see the same rows in the same order with the same optimiser and learning rate. The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import tempfile
import time
from typing import Any

import numpy as np
import torch

from bench.rows import ALPACA, SHARED
from bench.specs import group_of_one, plain_spec
from dolly.base_model import load_for_prompt, locate
from dolly.prompts import Prompt, user_content
from dolly.train.batches import BatchOrder
from dolly.training_set import Example

MAX_TOKENS, HELD_OUT, SEED, RATE = 1024, 32, 17, 2e-4
IGNORED, WARM_UP = -100, 2
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}


def conversations(name: str) -> list[tuple[str, str]]:
    """Questions and answers of `alpaca_2k.json` or `bank_faqs.csv`."""
    if name == "alpaca":
        found = [(user_content(r["instruction"], r["input"]), r["output"]) for r in json.loads(ALPACA.read_text())]
    else:
        with (SHARED / "enterprise" / "bank_faqs.csv").open(newline="", encoding="utf-8") as file:
            found = [(row["Question"], row["Answer"]) for row in csv.DictReader(file)]
    return [(question, answer) for question, answer in found if question.strip() and answer.strip()]


def examples(name: str, tokenizer: Any) -> list[Example]:
    """The rows as tokens, at most `MAX_TOKENS` of each."""
    made = []
    for number, (question, answer) in enumerate(conversations(name)):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        ids, mask = Prompt().encode(tokenizer, turns)  # type: ignore[arg-type]
        made.append(Example(f"{number:05d}", name, np.asarray(ids[:MAX_TOKENS]), np.asarray(mask[:MAX_TOKENS])))
    order = np.random.default_rng(SEED).permutation(len(made))
    return [made[index] for index in order]


def held_out_loss(model: Any, rows: list[Example]) -> float:
    """Mean loss per token with loss, each row separately, with the model's own attention."""
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for row in rows:
            logits = model(input_ids=torch.from_numpy(row.input_ids)[None]).logits[0, :-1]
            with_loss = torch.from_numpy(row.loss_mask[1:])
            wanted = torch.from_numpy(row.input_ids[1:])[with_loss]
            total += float(torch.nn.functional.cross_entropy(logits[with_loss].float(), wanted, reduction="sum"))
            count += len(wanted)
    return total / count


def dolly(model: Any, train: list[Example], *, batch: int, steps: int, block: int) -> tuple[list[float], list[float]]:
    """Losses and seconds of each step by our Trainer."""
    from dolly.train.engine import Trainer
    from dolly.train.usage import return_freed_memory

    return_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        group_of_one(folder)
        spec = plain_spec(
            output=folder, batch_size=batch, max_steps=steps, block_tokens=block, learning_rate=RATE, seed=SEED
        )
        trainer = Trainer(model, spec, train=train, evaluation=[], report=lambda *_: None)
        seconds = []
        for step in range(steps):
            started = time.perf_counter()
            trainer._step(step)
            seconds.append(time.perf_counter() - started)
        return trainer.state["step_losses"], seconds


def trainer(model: Any, train: list[Example], *, batch: int, steps: int) -> tuple[list[float], list[float]]:
    """Losses and seconds of each step by transformers' Trainer."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    order = BatchOrder(rows=len(train), batch_size=batch, seed=SEED)
    sequence = [row for step in range(steps) for row in order.batch(step)]
    ticks: list[float] = []
    losses: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            ticks.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ticks.append(time.perf_counter())

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" in logs:
                losses.append(logs["loss"])

    class InOrder(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> list[int]:
            return sequence

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=batch,
            max_steps=steps,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            remove_unused_columns=False,
        )
        InOrder(model, arguments, train_dataset=train, data_collator=padded, callbacks=[Clock()]).train()
    return losses, (np.asarray(ticks[1::2]) - np.asarray(ticks[::2])).tolist()


def padded(rows: list[Example]) -> dict[str, torch.Tensor]:
    """Rows padded to the longest: `input_ids`, `attention_mask`, `labels`, each `(rows, longest)`."""
    shape = len(rows), max(len(row.input_ids) for row in rows)
    ids, mask, labels = torch.zeros(shape, dtype=torch.long), torch.zeros(shape), torch.full(shape, IGNORED)
    for number, row in enumerate(rows):
        length = len(row.input_ids)
        ids[number, :length], mask[number, :length] = torch.from_numpy(row.input_ids), 1
        labels[number, :length] = torch.where(torch.from_numpy(row.loss_mask), ids[number, :length], IGNORED)
        labels[number, 0] = IGNORED
    return {"input_ids": ids, "attention_mask": mask.long(), "labels": labels}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", choices=["dolly", "trainer"])
    parser.add_argument("data", choices=["alpaca", "bank"])
    parser.add_argument("method", choices=["full", "lora"])
    parser.add_argument("--batch", type=int, required=True, help="rows of a step")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--block", type=int, default=2048, help="tokens of a block; ours only")
    given = parser.parse_args()
    torch.manual_seed(SEED)
    base = locate("smollm2-135m-instruct", allow_network=False)
    model, tokenizer = load_for_prompt(base, dtype="float32", prompt=Prompt())
    if given.method == "lora":
        from peft import LoraConfig, inject_adapter_in_model

        inject_adapter_in_model(LoraConfig(**LORA), model)
    rows = examples(given.data, tokenizer)
    test, train = rows[:HELD_OUT], rows[HELD_OUT:]
    before = held_out_loss(model, test)
    model.train()
    if given.tool == "dolly":
        losses, seconds = dolly(model, train, batch=given.batch, steps=given.steps, block=given.block)
    else:
        losses, seconds = trainer(model, train, batch=given.batch, steps=given.steps)
    order = BatchOrder(rows=len(train), batch_size=given.batch, seed=SEED)
    shown = [train[row] for step in range(given.steps) for row in order.batch(step)]
    tokens = sum(len(row.input_ids) for row in shown[given.batch * WARM_UP :])
    timed = sum(seconds[WARM_UP:])
    model.config._attn_implementation = "sdpa"
    figures = {
        "tokens": tokens,
        "seconds": round(timed, 2),
        "tokens_per_second": round(tokens / timed, 1),
        "step_losses": [round(loss, 5) for loss in losses],
        "held_out_before": round(before, 5),
        "held_out_after": round(held_out_loss(model, test), 5),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
