"""Prepares a registered model for its engine, once: converts it, compares it with transformers, keeps the verdict.

python -m dolly.engines.prepare FOLDER TOKENIZER TARGET PRECISION

It runs in a process of its own, so that the memory of the conversion is free again when the server starts.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dolly.engines.base import Sampling, run_all
from dolly.engines.convert import compared, convert, require_close
from dolly.errors import ModelError

VERDICT = "verdict.json"
_TEXTS = (
    "What is the capital of France?",
    "Write a short letter to a supplier who delivered late, and ask for a new date.",
    "def mean(values):\n    return sum(values) / len(values)\n\nExplain what happens for an empty list.",
)
_LENGTHS = (1, 9, 64, 300)  # of prompts of random tokens
_TOKENS = 24


def prompts(tokenizer: Any, *, context_length: int) -> list[list[int]]:
    """Prompts to compare engines with: texts, and random tokens of several lengths."""
    draw = random.Random(7)
    special = set(tokenizer.all_special_ids)
    words = [token for token in tokenizer.get_vocab().values() if token not in special]
    words.sort()
    made = [tokenizer.encode(text, add_special_tokens=False) for text in _TEXTS]
    made += [draw.choices(words, k=length) for length in _LENGTHS]
    return [ids[: context_length - _TOKENS] for ids in made]


def prepare(folder: Path, tokenizer: Path, target: Path, precision: str) -> None:
    """Writes the converted model and `verdict.json` to `target`; the verdict alone if it can't be served so."""
    import torch

    from dolly.engines.openvino import OpenVINOSpec
    from dolly.engines.reference import ReferenceRunner
    from dolly.inference import ChatModel

    chat = ChatModel.from_trained(folder, tokenizer=tokenizer)
    chat.model, chat.device = chat.model.cpu().float(), torch.device("cpu")
    length, sampling = chat.context_length, Sampling(max_tokens=_TOKENS)
    asked = prompts(chat.tokenizer, context_length=length)
    # The conversion replaces the model's attention, so the reference answers first.
    theirs = run_all(ReferenceRunner(chat, context_length=length), asked, sampling)
    try:
        convert(chat.model, target, precision=precision)
        spec = OpenVINOSpec(target, precision, context_length=length, cache_tokens=2 * length + 64 * len(asked))
        comparison = compared(run_all(spec.open(), asked, sampling), theirs)
        require_close(comparison, precision)
    except ModelError as error:
        verdict: dict[str, Any] = {"refused": {"found": error.found, "expected": error.expected, "fix": error.fix}}
    else:
        verdict = {"comparison": asdict(comparison)}
    target.mkdir(parents=True, exist_ok=True)
    (target / VERDICT).write_text(json.dumps(verdict, indent=1))


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
