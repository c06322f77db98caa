"""Fine-tuning on a CPU, packed, beside transformers' Trainer with padding: useful tokens a second.

python -m bench.train_cpu [--steps 40] [--repeat 3]

SmolLM2-135M in fp32 on `alpaca_2k.json` (4 rows a step: with 8 the padded way runs out of 24 GiB) and on
`bank_faqs.csv` (8 rows), full and LoRA. Useful are the tokens of rows, not padding. Every run is a process of its
own; the tools take turns in an order that changes, and the median counts. `dolly` runs with the allocator that its
launcher finds; `trainer` as it is, and once more with the same allocator.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import results
from dolly.environment import allocator

ROOT = Path(__file__).parents[1]
BATCH = {"alpaca": 4, "bank": 8}
TOOLS = {"dolly": allocator(), "trainer": {}, "trainer, our allocator": allocator()}


def run(tool: str, data: str, method: str, *, steps: int) -> dict[str, Any]:
    arguments = [tool.split(",")[0], data, method, "--batch", str(BATCH[data]), "--steps", str(steps)]
    command = [sys.executable, "-m", "bench.train_job", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=_environment(tool))
    if done.returncode:
        raise SystemExit(f"bench.train_cpu: {' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _environment(tool: str) -> dict[str, str]:
    return os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"} | TOOLS[tool]


def compare(data: str, method: str, *, steps: int, repeat: int) -> dict[str, Any]:
    """Figures of all tools on the same rows."""
    runs: dict[str, list[dict[str, Any]]] = {tool: [] for tool in TOOLS}
    for number in range(repeat):
        for tool in list(runs)[:: 1 if number % 2 else -1]:
            runs[tool].append(run(tool, data, method, steps=steps))
            print(data, method, tool, runs[tool][-1]["tokens_per_second"], "tokens/s", file=sys.stderr, flush=True)
    speed = {tool: statistics.median(one["tokens_per_second"] for one in found) for tool, found in runs.items()}
    last = {tool: found[-1] for tool, found in runs.items()}
    after = {tool: one["held_out_after"] for tool, one in last.items()}
    return {
        "data": data,
        "method": method,
        "rows_per_step": BATCH[data],
        "steps": steps,
        "tokens_per_second": speed,
        "of_each_run": {tool: [one["tokens_per_second"] for one in found] for tool, found in runs.items()},
        "times_as_fast": {tool: round(speed["dolly"] / speed[tool], 2) for tool in TOOLS if tool != "dolly"},
        "held_out_before": last["dolly"]["held_out_before"],
        "held_out_after": after,
        "held_out_difference": round(abs(after["dolly"] / after["trainer"] - 1), 5),
        "peak_gib": {tool: one["peak_gib"] for tool, one in last.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--data", nargs="+", choices=list(BATCH), default=list(BATCH))
    parser.add_argument("--methods", nargs="+", choices=["full", "lora"], default=["full", "lora"])
    given = parser.parse_args()
    pairs = [(data, method) for data in given.data for method in given.methods]
    found = [compare(data, method, steps=given.steps, repeat=given.repeat) for data, method in pairs]
    results.save("train_cpu", {"runs": found}, packages=("torch", "transformers", "deepspeed", "peft"))


if __name__ == "__main__":
    main()
