"""`dolly plan` beside what a training then takes: peak memory of one process on the CPU.

python -m bench.plan [--home FOLDER]

The 2,000 Alpaca rows are prepared once; each setting is planned by `dolly plan` and trained for three steps by
`dolly train`. Measured is the growth of the resident memory from before the model is loaded to the peak.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from bench import results
from bench.rows import ALPACA
from dolly.config_file import load_config
from dolly.state import State
from dolly.tables import Tables
from dolly.train.lookup import finished_training

ROOT = Path(__file__).parents[1]
SETTINGS = {
    "full, blocks of 1,024": ["train.method=full"],
    "full, every layer computed twice, blocks of 2,048": [
        "train.method=full",
        "train.gradient_checkpointing=true",
        "train.block_tokens=2048",
    ],
    "LoRA, blocks of 2,048": ["train.method=lora", "train.block_tokens=2048"],
    "full, two processes, ZeRO-3": ["train.method=full", "train.processes=2", "train.zero_stage=3"],
}


def dolly(*arguments: str) -> str:
    command = [sys.executable, "-m", "dolly.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"bench.plan: dolly {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}"
        )
    return done.stdout


def compare(config: str, overrides: list[str]) -> dict[str, Any]:
    """Planned and measured bytes of one setting."""
    planned = json.loads(dolly("plan", config, "--json", *overrides).splitlines()[-1])["this_machine"]
    dolly("train", config, *overrides)
    loaded = load_config(config, overrides)
    state = State.of(loaded)
    memory = finished_training(loaded, state, Tables(state.tables)).result["memory"]
    measured = memory["peak"] - memory["before"]
    parts = {name: round(size / 2**30, 3) for name, size in planned.items() if name != "has"}
    return {
        "planned_gib": parts,
        "measured_gib": round(measured / 2**30, 3),
        "planned_over_measured": round(planned["peak"] / measured, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="where rows are prepared; a temporary folder if not given")
    parser.add_argument("--only", nargs="+", type=int, help="numbers of the settings to compare, from 0")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (given.home or Path(scratch, "home")).resolve()
        config = Path(scratch, "plan.yaml")
        source = {"name": "alpaca", "path": str(ALPACA), "format": "json", "visibility": "public"}
        training = {"max_steps": 3, "batch_size": 16, "max_eval_rows": 8}
        values = {"name": "plan", "home": str(home), "sources": [source], "train": training}
        config.write_text(yaml.safe_dump(values | {"prepare": {"max_tokens": 1024}}))
        if not (home / "tables" / "gold_examples").exists():
            dolly("run", str(config), "--until", "prepare")
        found = {}
        for number, (name, overrides) in enumerate(SETTINGS.items()):
            if given.only is None or number in given.only:
                found[name] = compare(str(config), overrides)
                print(name, found[name], file=sys.stderr, flush=True)
    results.save("plan", {"settings": found}, packages=("torch", "transformers", "deepspeed", "peft"))


if __name__ == "__main__":
    main()
