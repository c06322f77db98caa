"""Converts a causal LM of transformers to OpenVINO's format, and compares the two.

The model is traced by PyTorch with its cache as inputs and outputs; OpenVINO then makes the cache a state of the model,
and at load replaces each attention by one on a paged cache. A trace keeps what it saw: families whose computation
depends on the length of the text in ways that a trace can't hold are not converted. What is converted is compared with
transformers: the tokens of greedy answers and their log-probabilities.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from dolly.engines.base import Token
from dolly.errors import ModelError, in_one_line

# Families that tests/engines compares with transformers.
CONVERTED = {"gpt2", "gpt_neox", "gptj", "granite", "llama", "mistral", "opt", "phi", "qwen2", "qwen3"}
# Rotary positions whose frequencies depend on the length of the text.
_CHANGING_POSITIONS = {"dynamic", "longrope"}
# Of log-probabilities. Rounding made differences up to 1e-4 in the families of the tests; a wrong mask or position
# makes some of 0.1 and more.
_TOLERANCES = {"fp32": 1e-2, "int8": 0.5}


def not_converted(reason: str) -> ModelError:
    """The error for a model that OpenVINO can't serve."""
    return ModelError(
        found=f"a model that OpenVINO can't serve ({reason})",
        expected=f"a model of {', '.join(sorted(CONVERTED))}",
        fix="set serve.engine to transformers",
    )


def why_not(config: Any) -> str | None:
    """The reason why a model of this config (of transformers) is not converted; None if it is."""
    if config.model_type not in CONVERTED:
        return f"models of type {config.model_type} are not converted"
    if set(getattr(config, "layer_types", None) or []) - {"full_attention"} or _window(config):
        return "attention in a window is not converted"
    positions = getattr(config, "rope_parameters", None) or {}
    if positions.get("rope_type") in _CHANGING_POSITIONS:
        return f"{positions['rope_type']} positions are not converted"
    return None


def _window(config: Any) -> bool:
    window = getattr(config, "sliding_window", None)
    return bool(window) and getattr(config, "use_sliding_window", True) and window < config.max_position_embeddings


def convert(model: Any, target: Path, *, precision: str = "fp32") -> None:
    """Writes a model for `OpenVINORunner`; `target` is written atomically.

    Args:
        model: a causal LM of transformers for which `why_not` is None; its weights are converted to fp32 in place.
        target: folder to write.
        precision: `fp32`, or `int8` for 8-bit weights with a scale for each output channel.

    Raises:
        ModelError: the model can't be converted.
    """
    from dolly.engines.trace import traced

    _without_telemetry()
    import openvino

    try:
        converted = traced(model)
        if precision == "int8":
            converted = _with_int8_weights(converted)
    except Exception as error:
        raise not_converted(in_one_line(error, longest=300)) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".converting-") as scratch:
        staged = Path(scratch, "model")
        staged.mkdir()
        openvino.save_model(converted, staged / "openvino_model.xml", compress_to_fp16=False)
        (staged / "config.json").write_text(json.dumps({"model_type": model.config.model_type}))
        shutil.rmtree(target, ignore_errors=True)
        staged.rename(target)


def _without_telemetry() -> None:
    """OpenVINO's converter reports to an analytics service, unless this package can't be imported."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


def _with_int8_weights(model: Any) -> Any:
    import nncf

    return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)


@dataclass(frozen=True)
class Comparison:
    """How close a converted model is to the original, over greedy answers to some prompts.

    Args:
        prompts: number of prompts.
        equal: number of them whose tokens are all equal.
        mean_difference: of the log-probabilities, up to the first token that differs.
        largest_difference: of them.
    """

    prompts: int
    equal: int
    mean_difference: float
    largest_difference: float


def compared(ours: Sequence[list[Token]], theirs: Sequence[list[Token]]) -> Comparison:
    """Compares greedy answers to the same prompts."""
    equal, differences = 0, []
    for one, other in zip(ours, theirs, strict=True):
        same = list(takewhile(lambda pair: pair[0].id == pair[1].id, zip(one, other, strict=True)))
        # The first pair that differs is compared too: where two tokens are about as likely, either may win.
        pairs = list(zip(one, other, strict=True))[: len(same) + 1]
        differences += [abs(a.logprob - b.logprob) for a, b in pairs]
        equal += len(same) == len(one)
    return Comparison(len(ours), equal, sum(differences) / len(differences), max(differences))


def require_close(comparison: Comparison, precision: str) -> None:
    """Requires the log-probabilities of a converted model to be those of the original.

    Raises:
        ModelError: they differ by more than rounding; for int8, by more than 8-bit weights cost a sound model.
    """
    name, found = ("largest", comparison.largest_difference)
    if precision == "int8":
        name, found = ("mean", comparison.mean_difference)
    if not found <= _TOLERANCES[precision]:  # also NaN
        raise not_converted(
            f"the {name} difference of its log-probabilities to transformers' is {found:.4f}; "
            f"expected at most {_TOLERANCES[precision]}"
        )
