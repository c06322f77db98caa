"""Chooses the engine of a registered model and starts it; the converted model is kept for the next start."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dolly.base_model import context_length, load_config, weights_sha256
from dolly.engines.convert import not_converted, why_not
from dolly.engines.openvino import OpenVINOSpec, cache_tokens
from dolly.engines.prepare import VERDICT
from dolly.engines.process import Engine
from dolly.engines.reference import ReferenceSpec
from dolly.errors import ModelError
from dolly.extras import is_installed, require

if TYPE_CHECKING:
    from dolly.card import ModelFiles

Kind = Literal["auto", "openvino", "transformers"]
Precision = Literal["fp32", "int8"]


def open_engine(
    model: ModelFiles,
    *,
    kind: Kind,
    precision: Precision,
    cache_gib: float,
    running: int,
    folder: Path,
    say: Callable[[str], None],
) -> Engine:
    """Starts the engine of a registered model.

    Args:
        model: what is served.
        kind: `auto` takes OpenVINO, unless the model can't be converted, there is a GPU or no OpenVINO.
        precision: of OpenVINO's weights.
        cache_gib: size of OpenVINO's key-value cache, in GiB.
        running: maximum number of requests that are generated at once.
        folder: where converted models are kept.
        say: reports what takes time.

    Raises:
        EnvironmentFault: OpenVINO is not installed, and `kind` or `precision` demands it.
        ModelError: the model can't be loaded, or not as `kind` and `precision` demand.
    """
    config = load_config(str(model.folder))
    length = context_length(config)
    reference = ReferenceSpec(model.folder, model.tokenizer, length)
    if kind == "transformers":
        return Engine(reference)
    if kind == "auto" and precision == "fp32" and (_has_gpu() or not is_installed("openvino_genai")):
        return Engine(reference)
    require("serve", "openvino_genai", "nncf")
    try:
        converted = _converted(model, config, precision=precision, folder=folder, say=say)
    except ModelError as error:
        if kind == "openvino" or precision != "fp32":
            raise
        say(f"transformers serves it: {error.found}")
        return Engine(reference)
    tokens = cache_tokens(config, gibibytes=cache_gib)
    return Engine(OpenVINOSpec(converted, precision, length, tokens, running=running))


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _converted(
    model: ModelFiles, config: Any, *, precision: Precision, folder: Path, say: Callable[[str], None]
) -> Path:
    """The folder of the converted model; made if it is not there.

    Raises:
        ModelError: it can't be converted, or gives other answers than the original.
    """
    from dolly.train.lock import locked

    if reason := why_not(config):
        raise not_converted(reason)
    weights: str = model.tags.get("weights_sha256") or weights_sha256(str(model.folder))
    target = folder / _key(weights, precision)
    with locked(folder, say):
        if not (target / VERDICT).is_file():
            say(f"converting {model.label} for OpenVINO in {precision}; once")
            command = [sys.executable, "-m", "dolly.engines.prepare", model.folder, model.tokenizer, target]
            done = subprocess.run([*map(str, command), precision], stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
                raise not_converted(f"its conversion failed: {last[:300]}")
    verdict = json.loads((target / VERDICT).read_text())
    if "refused" in verdict:
        raise ModelError(**verdict["refused"])
    return target


def _key(weights_sha256: str, precision: str) -> str:
    """Name of the folder of a converted model: it depends on the weights and on what converts and runs them."""
    whole = hashlib.sha256(f"{weights_sha256} {precision}".encode())
    for package in ("openvino", "openvino-genai", "transformers"):
        whole.update(importlib.metadata.version(package).encode())
    for file in ("convert.py", "openvino.py", "prepare.py", "trace.py"):
        whole.update(Path(__file__).with_name(file).read_bytes())
    return whole.hexdigest()[:16]
