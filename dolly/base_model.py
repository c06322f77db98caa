"""Base models: their location, loading, and the hash of their weights."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dolly.checksums import Checksums
from dolly.errors import EnvironmentFault, ModelError
from dolly.installed import installed_model
from dolly.prompts import Prompt

_CONTEXT = 2048  # tokens, of models that name no limit


def locate(base: str, *, allow_network: bool) -> str:
    """Resolves a base model's name.

    Args:
        base: a folder, a GGUF file, the name of an installed model, or a hub name.
        allow_network: may `base` be a hub name?

    Returns:
        A folder, a `.gguf` file or a hub name.

    Raises:
        ModelError: there is no such model.
    """
    path = Path(base).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return str(path.resolve())
    if (path / "config.json").is_file():
        return str(path.resolve())
    if folder := installed_model(base):
        return str(folder)
    if allow_network:
        return base
    raise ModelError(
        found=f"no base model {base!r}",
        expected="a folder with config.json, a .gguf file or an installed model",
        fix="set model.base to one, run make setup, or set allow_network=true for a hub name",
    )


def load_tokenizer(location: str) -> Any:
    """Loads the tokenizer of a located base model."""
    config = Path(location, "tokenizer_config.json")
    if config.is_file() and json.loads(config.read_text()).get("tokenizer_class") == "TokenizersBackend":
        # Everything is in tokenizer.json. AutoTokenizer would import every model class and torch first, which takes
        # some ten seconds in each Spark worker.
        from transformers.tokenization_utils_tokenizers import TokenizersBackend

        return TokenizersBackend.from_pretrained(location)
    from transformers import AutoTokenizer

    folder, gguf = _gguf_arguments(location)
    return AutoTokenizer.from_pretrained(folder, **gguf)


def load_model(location: str, *, dtype: str, four_bit: bool = False) -> Any:
    """Loads a causal LM with `dtype` weights, or with 4-bit linear layers (NF4) that compute in `dtype`.

    Of its published generation settings only the special tokens are kept: a penalty or a temperature would silently
    alter answers, and transformers refuses to save some combinations.

    Raises:
        EnvironmentFault: bitsandbytes is missing for 4 bits.
        ModelError: transformers can't read the files.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # the stages show their own
    folder, gguf = _gguf_arguments(location)
    settings: dict[str, Any] = {"dtype": getattr(torch, dtype), **gguf}
    if four_bit:
        settings["quantization_config"] = _four_bit(settings["dtype"])
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, **settings)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            found=f"{location} can't be loaded ({' '.join(str(error).split())[:200]})",
            expected="a causal LM in safetensors or GGUF",
            fix="check that the files are whole and that transformers knows the architecture",
        ) from error
    _keep_special_tokens_only(model)
    return model if four_bit else _without_quantisation(model)


def load_config(location: str) -> Any:
    """The transformers config of a located base model."""
    from transformers import AutoConfig

    folder, gguf = _gguf_arguments(location)
    return AutoConfig.from_pretrained(folder, **gguf)


def _four_bit(dtype: Any) -> Any:
    """QLoRA's settings (Dettmers et al. 2023): 4-bit NormalFloat, its constants quantised once more."""
    from importlib.util import find_spec

    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise EnvironmentFault(
            found="no package bitsandbytes", expected="it, for method: qlora", fix="pip install 'dolly[qlora]'"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def load_for_prompt(location: str, *, dtype: str, prompt: Prompt, four_bit: bool = False) -> tuple[Any, Any]:
    """Loads a base model and its tokenizer with the prompt's markers in both.

    A marker that the tokenizer lacks gets a new embedding, the mean of its words' embeddings, so that it has a
    meaning also when only adapters are trained.
    """
    model, tokenizer = load_model(location, dtype=dtype, four_bit=four_bit), load_tokenizer(location)
    added = prompt.prepare_tokenizer(tokenizer)
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer))
    if added:
        _embed_by_words(model, tokenizer, added)
    _end_answers_by(model, tokenizer)
    return model, tokenizer


def stop_ids(model: Any, tokenizer: Any) -> list[int]:
    """Tokens that end an answer: first the prompt's, then those of the published base model."""
    settings = [model.config, *filter(None, [model.generation_config])]
    return _stop_ids([settings.eos_token_id for settings in settings], tokenizer)


def stop_ids_of_files(folder: Path, tokenizer: Any) -> list[int]:
    """As `stop_ids`, without loading the model."""
    generation = folder / "generation_config.json"
    settings = json.loads(generation.read_text()) if generation.is_file() else {}
    return _stop_ids([load_config(str(folder)).eos_token_id, settings.get("eos_token_id")], tokenizer)


def _stop_ids(named: Iterable[int | list[int] | None], tokenizer: Any) -> list[int]:
    special = set(tokenizer.all_special_ids)
    special |= {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    # An id that is no special token is a default of the architecture, and an ordinary word in this vocabulary.
    ends = [token for ids in named for token in _as_list(ids) if token in special]
    return list(dict.fromkeys([tokenizer.eos_token_id, *ends]))


def context_length(config: Any) -> int:
    """Maximum number of tokens of prompt and answer; `config` is the one of transformers."""
    # BLOOM's positions have no limit, but its config names the length of its training.
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "seq_length", None)
    return int(found or _CONTEXT)


def _end_answers_by(model: Any, tokenizer: Any) -> None:
    """Writes the stop tokens into a model's settings, for servers that do not use this package."""
    stop = stop_ids(model, tokenizer)
    model.config.eos_token_id = tokenizer.eos_token_id
    if model.generation_config is not None:
        model.generation_config.eos_token_id = stop if len(stop) > 1 else stop[0]


def _keep_special_tokens_only(model: Any) -> None:
    """Resets a model's generation settings to greedy decoding."""
    from transformers import GenerationConfig

    if (published := model.generation_config) is not None:
        names = ("bos_token_id", "eos_token_id", "pad_token_id")
        model.generation_config = GenerationConfig(**{name: getattr(published, name) for name in names})
    for name in model.config._get_generation_parameters():  # older models have them in config.json
        setattr(model.config, name, None)


def _as_list(ids: int | list[int] | None) -> list[int]:
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)


def convert_gguf(gguf: Path, target: Path, *, eos_token: str | None = None, pad_token: str | None = None) -> None:
    """Writes a GGUF model as float32 safetensors with its tokenizer; `target` is written atomically.

    GGUF always has the vocabulary, but not always the special tokens, which can be given.
    """
    model = load_model(str(gguf), dtype="float32")
    tokenizer = load_tokenizer(str(gguf))
    tokenizer.clean_up_tokenization_spaces = False  # else decoding alters " ." and " n't"
    if eos_token:
        tokenizer.eos_token = eos_token
        model.generation_config.eos_token_id = tokenizer.eos_token_id
    if pad_token:
        tokenizer.pad_token = pad_token
        model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        staged = Path(scratch, "model")
        model.save_pretrained(staged)
        tokenizer.save_pretrained(staged)
        shutil.rmtree(target, ignore_errors=True)
        staged.rename(target)


def weights_sha256(location: str, *, cache: Path | None = None) -> str:
    """Hash of a model's weight and config files; for a hub model, hash of its name.

    Args:
        location: a folder, a file or a hub name.
        cache: file that caches the files' hashes (`checksums`).
    """
    path = Path(location)
    if not path.exists():
        return hashlib.sha256(location.encode()).hexdigest()
    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if _holds_weights(f))
    whole = hashlib.sha256()
    for file, digest in zip(files, Checksums(cache).of(files), strict=True):
        whole.update(file.name.encode() + digest)
    return whole.hexdigest()


def _embed_by_words(model: Any, tokenizer: Any, tokens: list[int]) -> None:
    """Sets each new token's embedding to the mean of its words' embeddings."""
    import torch

    with torch.no_grad():
        for embeddings in {model.get_input_embeddings(), model.get_output_embeddings()}:
            for token in tokens:
                text = tokenizer.convert_ids_to_tokens(token)
                words = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
                embeddings.weight[token] = embeddings.weight[words].float().mean(dim=0).to(embeddings.weight.dtype)


def _holds_weights(file: Path) -> bool:
    return file.suffix in {".safetensors", ".bin"} or file.name == "config.json"


def _gguf_arguments(location: str) -> tuple[str, dict[str, str]]:
    path = Path(location)
    if path.suffix == ".gguf":
        return str(path.parent), {"gguf_file": path.name}
    return location, {}


def _without_quantisation(model: Any) -> Any:
    """Removes the quantisation config of a model from GGUF: it is de-quantised, but could not be saved with it."""
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config
        model.hf_quantizer = None
        model.is_quantized = False
    return model
