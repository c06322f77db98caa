"""Are the GPU's kernels right: packed training in bf16 against each example alone in fp32.

python -m bench.gpu.check

For each family, a small model with the head size of the real ones and rows of Alpaca's lengths in packed blocks.
`ours` and `plain` are the relative errors of the gradient of all weights, against transformers' eager attention in fp32
on each example alone: ours packed in bf16, and transformers' own in bf16 on each example alone. Rounding to bf16 makes
the same error in both; a wrong kernel makes ours larger. Without a GPU it compares in fp32 on the CPU.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import torch

from bench import results
from bench.gpu.gptj import rows

WORDS, BLOCK, ROWS = 1000, 2048, 12
ALLOWED = 1.25  # ours over plain


def configs() -> dict[str, Any]:
    from transformers import BloomConfig, GPTJConfig, GPTNeoXConfig, LlamaConfig, MistralConfig, Qwen2Config

    no_drop = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    llama = {"vocab_size": WORDS, "hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 3}
    return {
        "gptj": GPTJConfig(vocab_size=WORDS, n_embd=1024, n_layer=3, n_head=4, rotary_dim=64, **no_drop),
        "llama": LlamaConfig(num_attention_heads=4, **llama),
        "llama grouped": LlamaConfig(num_attention_heads=8, num_key_value_heads=2, **llama),
        "qwen2": Qwen2Config(num_attention_heads=4, num_key_value_heads=2, **llama),
        "mistral, window 64": MistralConfig(num_attention_heads=4, num_key_value_heads=2, sliding_window=64, **llama),
        "neox": GPTNeoXConfig(
            vocab_size=WORDS, hidden_size=512, intermediate_size=2048, num_hidden_layers=3, num_attention_heads=8
        ),
        "bloom": BloomConfig(vocab_size=WORDS, hidden_size=512, n_layer=3, n_head=8),
    }


def model(config: Any, dtype: torch.dtype, device: str) -> Any:
    """The same weights for each dtype: those of bf16."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    made = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(2)
    return made.to(torch.bfloat16).to(device, dtype)


def gradient(made: Any) -> torch.Tensor:
    parts = [parameter.grad for _, parameter in sorted(made.named_parameters()) if parameter.grad is not None]
    return torch.cat([part.double().flatten().cpu() for part in parts])


def alone(made: Any, examples: list[Any], device: str) -> torch.Tensor:
    """Gradient of the summed loss of each example alone, by transformers."""
    for row in examples:
        ids = torch.from_numpy(row.input_ids)[None].to(device)
        with_loss = torch.from_numpy(row.loss_mask[1:]).to(device)
        logits = made(input_ids=ids, use_cache=False).logits[0, :-1][with_loss]
        torch.nn.functional.cross_entropy(logits.float(), ids[0, 1:][with_loss], reduction="sum").backward()
    return gradient(made)


def packed(made: Any, examples: list[Any], device: str) -> torch.Tensor:
    """The same by Dolly, in blocks."""
    from dolly.train.batches import blocks_of, tensors_of
    from dolly.train.model import LanguageModelLoss

    module = LanguageModelLoss(made)
    for block in blocks_of(examples, capacity=BLOCK, processes=1, rank=0):
        tensors = {k: v.to(device) if torch.is_tensor(v) else v for k, v in tensors_of(block).items()}
        module(**tensors).backward()
    return gradient(made)


def compared(config: Any, *, seed: int) -> dict[str, float | bool]:
    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    examples = rows(ROWS, words=WORDS, seed=seed)
    exact = alone(model(config, torch.float32, device), examples, device)
    errors = {
        name: float((by(model(config, dtype, device), examples, device) - exact).norm() / exact.norm())
        for name, by in (("ours", packed), ("plain", alone))
    }
    right = errors["ours"] <= max(ALLOWED * errors["plain"], 1e-4)
    return {name: float(f"{error:.3g}") for name, error in errors.items()} | {"right": right}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2)))
    parser.add_argument("--folder", type=Path, default=results.FOLDER, help="where the result is kept")
    given = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    found = {family: compared(config, seed=given.seed) for family, config in configs().items()}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    figures = {"gpu": gpu, "seed": given.seed, "gradient_error": found}
    results.save("gpu_check", figures, packages=("torch", "transformers"), folder=given.folder)
    if not all(family["right"] for family in found.values()):
        raise SystemExit("the packed gradient is wrong")


if __name__ == "__main__":
    main()
