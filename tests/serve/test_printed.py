"""`dolly serve --print`: commands that a shell takes, YAML that parses, the prompt of the training."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dolly.errors import ModelError
from dolly.prompts import Prompt
from dolly.serve.printed import Published, _require_template, kserve_manifest, ray_config, vllm_commands
from tests.serve.registered import write_model
from tests.support import Run

FOLDER = Path("/srv/it's here/$(rm -r x)/model")
CONVERSATIONS = {
    "a single turn": [("user", " Which gate?\n")],
    "a system turn": [("system", "Be brief."), ("user", "Which gate?")],
    "several turns": [("user", "Which gate?"), ("assistant", "Gate 4."), ("user", "{{ x }} {% if y %} <b>'\"\\")],
}


def published(address: str = "file:///srv/model", **changes: Any) -> Published:
    values: dict[str, Any] = {
        "name": "Bank_Model.2",
        "version": "7",
        "alias": "champion",
        "folder": FOLDER,
        "address": address,
        "dtype": "bfloat16",
        "context_length": 4096,
        "stops": ("<|im_end|>",),
        "size": 13 << 30,
    }
    return Published(**values | changes)


def commands(text: str) -> list[list[str]]:
    """The commands of a script, as a shell splits them."""
    return [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines() if line[0] != "#"]


def options(command: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in command[command.index("serve") + 2 :]:
        if word.startswith("--"):
            name, found[word] = word, []
        else:
            found[name].append(word)
    return found


def test_the_command_of_vllm_survives_a_shell() -> None:
    *_, serve = commands(vllm_commands(published()))
    assert serve[:1] == ["env"]
    assert {"HF_HUB_OFFLINE=1", "VLLM_NO_USAGE_STATS=1"} <= set(serve)
    assert serve[serve.index("serve") + 1] == str(FOLDER)
    assert options(serve) == {
        "--served-model-name": ["Bank_Model.2", "Bank_Model.2@champion"],
        "--chat-template": [str(FOLDER / "chat_template.jinja")],
        "--dtype": ["bfloat16"],
        "--max-model-len": ["4096"],
        "--override-generation-config": ['{"temperature": 0.0}'],
        "--host": ["127.0.0.1"],
        "--port": ["8000"],
    }


def test_a_real_shell_gives_the_same_words() -> None:
    last = vllm_commands(published()).split("\nenv ")[1]
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {last}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == commands(f"env {last}")[0][1:]


def test_files_of_an_object_store_are_fetched_first() -> None:
    fetch, *_, serve = commands(vllm_commands(published("s3://bucket/a/model")))
    assert fetch[:3] == ["mlflow", "artifacts", "download"]
    assert fetch[fetch.index("--artifact-uri") + 1] == "models:/Bank_Model.2/7"
    folder = f"{fetch[fetch.index('--dst-path') + 1]}/model"
    assert serve[serve.index("serve") + 1] == folder
    assert options(serve)["--chat-template"] == [f"{folder}/chat_template.jinja"]


@pytest.mark.parametrize(
    ("address", "storage"),
    [("file:///srv/model", "pvc://dolly-models/Bank_Model.2/7"), ("s3://bucket/a/model", "s3://bucket/a/model")],
)
def test_the_manifest_of_kserve(address: str, storage: str) -> None:
    text = kserve_manifest(published(address))
    manifest = yaml.safe_load(text)
    assert (manifest["apiVersion"], manifest["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert manifest["metadata"]["name"] == "bank-model-2"
    assert set(manifest["metadata"]["annotations"].values()) == {"Bank_Model.2", "7", "champion"}
    model = manifest["spec"]["predictor"]["model"]
    assert model["modelFormat"] == {"name": "huggingface"}
    assert model["storageUri"] == storage
    arguments = dict(argument.removeprefix("--").split("=", 1) for argument in model["args"])
    assert arguments["model_name"] == "Bank_Model.2"
    assert arguments["max_model_len"] == "4096"
    assert arguments["dtype"] == "bfloat16"
    assert arguments["chat-template"] == "/mnt/models/chat_template.jinja"
    assert json.loads(arguments["override-generation-config"]) == {"temperature": 0.0}
    assert model["resources"]["limits"] == {"cpu": "4", "memory": "30Gi", "nvidia.com/gpu": "1"}
    assert ("first copy" in text) == (storage != address)


def test_the_application_of_ray() -> None:
    config = yaml.safe_load(ray_config(published()))
    assert config["http_options"]["host"] == "127.0.0.1"
    (application,) = config["applications"]
    assert application["import_path"] == "ray.serve.llm:build_openai_app"
    (model,) = application["args"]["llm_configs"]
    assert model["model_loading_config"] == {"model_id": "Bank_Model.2", "model_source": str(FOLDER)}
    engine = model["engine_kwargs"]
    assert engine.pop("override_generation_config") == {"temperature": 0.0}
    template = str(FOLDER / "chat_template.jinja")
    assert engine == {"dtype": "bfloat16", "max_model_len": 4096, "chat_template": template}
    assert all(isinstance(value, str) for value in model["runtime_env"]["env_vars"].values())
    (model,) = yaml.safe_load(ray_config(published("gs://bucket/model")))["applications"][0]["args"]["llm_configs"]
    assert model["model_loading_config"]["model_source"] == {"bucket_uri": "gs://bucket/model"}
    assert "chat_template" not in model["engine_kwargs"]


@pytest.fixture(scope="module", params=["chatml", "dolly"])
def folder(request: Any, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Prompt]:
    """A trained model with its prompt."""
    made, prompt = tmp_path_factory.mktemp("model"), Prompt(request.param, 'Answer "briefly".\nIn French: é')
    write_model(made, tiny_base, prompt=prompt, seed=1)
    return made, prompt


@pytest.mark.model
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_template_renders_the_prompt_of_the_training(folder: tuple[Path, Prompt], name: str) -> None:
    from transformers import AutoTokenizer

    path, prompt = folder
    tokenizer = AutoTokenizer.from_pretrained(path)
    messages = [{"role": role, "content": content} for role, content in CONVERSATIONS[name]]
    expected = "".join(piece.text or tokenizer.eos_token for piece in prompt.pieces(messages, ask=True))
    # As vLLM renders it: the file of --chat-template, in the environment of transformers.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((path / "chat_template.jinja").read_text())
    values = {"bos_token": tokenizer.bos_token, "eos_token": tokenizer.eos_token}
    assert template.render(messages=messages, add_generation_prompt=True, **values) == expected
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == expected


@pytest.mark.model
def test_another_template_is_refused(folder: tuple[Path, Prompt], tmp_path: Path) -> None:
    path, _ = folder
    (tmp_path / "dolly.json").write_text((path / "dolly.json").read_text())
    _require_template(path)
    with pytest.raises(ModelError, match="missing or renders another prompt"):
        _require_template(tmp_path)
    (tmp_path / "chat_template.jinja").write_text((path / "chat_template.jinja").read_text() + "!")
    with pytest.raises(ModelError, match="missing or renders another prompt"):
        _require_template(tmp_path)


@pytest.mark.model
@pytest.mark.slow
def test_the_command_reads_the_registry_and_needs_no_torch(finished_run: Run) -> None:
    code = (
        "import importlib.util as u, sys; find = u.find_spec; sys.modules['torch'] = None; "
        "u.find_spec = lambda name, *rest: None if name.split('.')[0] == 'torch' else find(name, *rest); "
        "from dolly.cli import main; sys.exit(main(['serve', sys.argv[1], '--print', 'vllm']))"
    )
    command = [sys.executable, "-c", code, str(finished_run.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *_, serve = commands(done.stdout)
    folder = Path(serve[serve.index("serve") + 1])
    assert (folder / "model.safetensors").is_file()
    found = options(serve)
    assert found["--served-model-name"] == ["tiny-model", "tiny-model@champion"]
    assert found["--dtype"] == ["float32"]
    assert found["--max-model-len"] == ["512"]
    assert Path(found["--chat-template"][0]).is_file()
    assert "answers end at <|im_end|>" in done.stdout
