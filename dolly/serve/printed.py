"""`dolly serve --print`: how vLLM, KServe or Ray Serve serve a registered version; it starts nothing.

Written for vLLM 0.33, KServe 0.21 and Ray 2.60. All three read the chat template that lies beside the weights, which
renders a conversation as `dolly.prompts` does.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dolly.card import trained_prompt
from dolly.errors import ModelError

if TYPE_CHECKING:
    from dolly.config import Config

_TEMPLATE = "chat_template.jinja"
# Nothing leaves the house: no usage statistics, no look-ups at a hub.
_QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
# What a request leaves out is as with `dolly serve`.
_DEFAULTS = {"temperature": 0.0}
_BUCKETS = ("s3://", "gs://")
_GIB = 1 << 30


class Platform(StrEnum):
    """What else serves a registered model."""

    vllm = "vllm"
    kserve = "kserve"
    ray = "ray"


@dataclass(frozen=True)
class Published:
    """A registered version, as other servers need it.

    Args:
        name: of the registered model.
        version: its version.
        alias: that points at it.
        folder: weights, tokenizer and chat template on this machine.
        address: of the same files in the artifact store.
        dtype: of the weights.
        context_length: maximum number of tokens of prompt and answer.
        stops: tokens that end an answer.
        size: of the weights, in bytes.
    """

    name: str
    version: str
    alias: str
    folder: Path
    address: str
    dtype: str
    context_length: int
    stops: tuple[str, ...]
    size: int

    @property
    def bucket(self) -> str | None:
        """The address in an object store; None if the files are elsewhere."""
        return self.address if self.address.startswith(_BUCKETS) else None

    @property
    def title(self) -> str:
        """What it is, for a comment."""
        return f"{self.name}@{self.alias}, version {self.version}; answers end at {' or '.join(self.stops)}"


def instructions(config: Config, *, alias: str, platform: Platform) -> str:
    """What serves the version of a config's model that an alias points at.

    Raises:
        ModelError: there is no such version, or its chat template is not that of its training.
    """
    from dolly.state import State
    from dolly.tracking import connect

    connect(State.of(config))
    published = find_published(config.register_.name, alias=alias)
    writers = {Platform.vllm: vllm_commands, Platform.kserve: kserve_manifest, Platform.ray: ray_config}
    return writers[platform](published)


def find_published(name: str, *, alias: str) -> Published:
    """Finds a registered version, and reads what other servers need to know of it.

    Raises:
        ModelError: there is no such version, or its chat template is not that of its training.
    """
    from dolly.base_model import context_length, load_config, load_tokenizer, stop_ids_of_files
    from dolly.register.registry import artifact_address, find_registered

    model = find_registered(name, alias=alias)
    _require_template(model.folder)
    written = json.loads((model.folder / "config.json").read_text())
    tokenizer = load_tokenizer(str(model.tokenizer))
    stops = tokenizer.convert_ids_to_tokens(stop_ids_of_files(model.folder, tokenizer))
    return Published(
        name=name,
        version=model.version,
        alias=alias,
        folder=model.folder,
        address=f"{artifact_address(name, model.version).rstrip('/')}/{model.folder.name}",
        dtype=written.get("dtype") or written.get("torch_dtype") or "auto",
        context_length=context_length(load_config(str(model.folder))),
        stops=tuple(stops),
        size=sum(file.stat().st_size for file in model.folder.glob("*.safetensors")),
    )


def vllm_commands(model: Published) -> str:
    """Shell commands that serve a version with vLLM."""
    folder, lines = model.folder, [f"# {model.title}"]
    if not model.address.startswith("file://"):
        folder = Path(f"{model.name}-{model.version}") / model.folder.name
        source = ["--artifact-uri", f"models:/{model.name}/{model.version}", "--dst-path", str(folder.parent)]
        lines += [
            "# set MLFLOW_TRACKING_URI to the tracking store first:",
            _shell("mlflow", "artifacts", "download", *source),
        ]
    arguments = [
        *("--served-model-name", model.name, f"{model.name}@{model.alias}"),
        *("--chat-template", str(folder / _TEMPLATE)),
        *("--dtype", model.dtype),
        *("--max-model-len", str(model.context_length)),
        *("--override-generation-config", json.dumps(_DEFAULTS)),
        *("--host", "127.0.0.1", "--port", "8000"),
    ]
    quiet = [f"{name}={value}" for name, value in _QUIET.items()]
    lines += [
        "# vLLM's pins collide with dolly's: it gets an environment of its own.",
        _shell("python3", "-m", "venv", "vllm-environment"),
        _shell("vllm-environment/bin/pip", "install", "vllm"),
        _shell("env", *quiet, "vllm-environment/bin/vllm", "serve", str(folder), *arguments),
    ]
    return "\n".join(lines) + "\n"


def kserve_manifest(model: Published) -> str:
    """An InferenceService of KServe's Hugging Face runtime, which runs vLLM; YAML."""
    claim = f"pvc://dolly-models/{model.name}/{model.version}"
    memory = f"{max(8, 4 + math.ceil(2 * model.size / _GIB))}Gi"
    needs = {"cpu": "4", "memory": memory, "nvidia.com/gpu": "1"}
    predictor = {
        "modelFormat": {"name": "huggingface"},
        "storageUri": model.bucket or claim,
        "args": [
            f"--model_name={model.name}",
            "--backend=vllm",
            f"--dtype={model.dtype}",
            f"--max_model_len={model.context_length}",
            f"--chat-template=/mnt/models/{_TEMPLATE}",
            f"--override-generation-config={json.dumps(_DEFAULTS)}",
        ],
        "env": [{"name": name, "value": value} for name, value in _QUIET.items()],
        "resources": {"requests": needs, "limits": dict(needs)},
    }
    labels = {"dolly/model": model.name, "dolly/version": model.version, "dolly/alias": model.alias}
    manifest = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": _dns_label(model.name), "annotations": labels},
        "spec": {"predictor": {"model": predictor}},
    }
    comments = [model.title, "kubectl apply -f FILE; OpenAI's API is at /openai/v1"]
    if not model.bucket:
        comments.append(f"first copy {shlex.quote(str(model.folder))} to {claim}")
    return _yaml(manifest, comments)


def ray_config(model: Published) -> str:
    """An application of Ray Serve LLM, which runs vLLM; YAML."""
    engine: dict[str, Any] = {
        "dtype": model.dtype,
        "max_model_len": model.context_length,
        "override_generation_config": _DEFAULTS,
    }
    source: str | dict[str, str] = str(model.folder)
    if model.bucket:  # the template comes with the weights
        source = {"bucket_uri": model.bucket}
    else:
        engine["chat_template"] = str(model.folder / _TEMPLATE)
    settings = {
        "model_loading_config": {"model_id": model.name, "model_source": source},
        "engine_kwargs": engine,
        "deployment_config": {"autoscaling_config": {"min_replicas": 1, "max_replicas": 1}},
        "runtime_env": {"env_vars": _QUIET},
    }
    application = {
        "name": _dns_label(model.name),
        "route_prefix": "/",
        "import_path": "ray.serve.llm:build_openai_app",
        "args": {"llm_configs": [settings]},
    }
    comments = [
        model.title,
        "in an environment of its own: pip install 'ray[serve,llm]'",
        "RAY_USAGE_STATS_ENABLED=0 serve run FILE; OpenAI's API is at http://127.0.0.1:8000/v1",
    ]
    if not model.bucket:
        comments.append("each node needs the files at this path")
    return _yaml({"http_options": {"host": "127.0.0.1", "port": 8000}, "applications": [application]}, comments)


def _require_template(folder: Path) -> None:
    prompt, found = trained_prompt(folder), (folder / _TEMPLATE)
    there = found.read_text() if found.is_file() else ""
    if there not in {prompt.chat_template(bos=bos) for bos in (False, True)}:
        raise ModelError(
            found=f"{found}, which is missing or renders another prompt than that of the training",
            expected="the template that dolly train writes",
            fix="register the training again: dolly register CONFIG",
        )


def _dns_label(name: str) -> str:
    """The name as Kubernetes allows names of services."""
    return re.sub(r"[^a-z0-9]+", "-", f"m-{name.lower()}" if not name[:1].isalpha() else name.lower())[:63].strip("-")


def _shell(*words: str) -> str:
    """A command, an option with its values a line."""
    lines: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--") and len(words) > 10:
            lines.append([])
        lines[-1].append(word)
    return " \\\n    ".join(shlex.join(line) for line in lines)


def _yaml(content: dict[str, Any], comments: list[str]) -> str:
    head = "".join(f"# {comment}\n" for comment in comments)
    return head + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True
