"""Which base models can be trained on packed examples; needs neither torch nor Spark."""

from __future__ import annotations

import json
from pathlib import Path

from dolly.errors import ModelError

# Families whose training on packed examples is compared with transformers by tests/train/test_families.py.
TRAINABLE = {
    "bloom",
    "cohere",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "gptj",
    "granite",
    "llama",
    "mistral",
    "opt",
    "phi",
    "qwen2",
    "qwen3",
}
_ATTENTION_LAYERS = {"full_attention", "sliding_attention"}


def require_trainable(location: str) -> None:
    """Refuses a base model that can't be trained on packed examples, from its config.json alone.

    Families of `TRAINABLE` are compared with transformers in the tests. For others the class of the model is asked; the
    training itself compares its logits once more. Hub names and GGUF files are checked by the training only.

    Raises:
        ModelError: transformers doesn't know the model, or packing would train it wrongly.
    """
    file = Path(location, "config.json")
    if not file.is_file() or json.loads(file.read_text()).get("model_type") in TRAINABLE:
        return
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    try:
        config = AutoConfig.from_pretrained(location)
        model = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    except (KeyError, ValueError, OSError) as error:
        raise ModelError(
            found=f"{location} is no causal LM that transformers knows ({' '.join(str(error).split())[:200]})",
            expected="the folder of a causal LM",
            fix="set model.base to another model",
        ) from error
    reason = None
    if not model._supports_attention_backend:
        reason = "attention can't be replaced"
    elif model._is_stateful or set(getattr(config, "layer_types", None) or []) - _ATTENTION_LAYERS:
        reason = "layers have a state that runs on from one example into the next"
    if reason:
        raise not_trainable(config.model_type, reason)


def not_trainable(family: str, reason: str) -> ModelError:
    """The error for a model that can't be trained on packed examples; `reason` continues "whose"."""
    return ModelError(
        found=f"a model of type {family}, whose {reason}",
        expected=f"{', '.join(sorted(TRAINABLE))} or another model of transformers' attention interface",
        fix="set model.base to a model of another family",
    )
