"""MLflow's own server runs the registered model."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import mlflow
import pytest

from dolly.register.registry import load_registered
from dolly.state import State
from tests.support import Run
from tests.system.server import Server, answers_http, running

pytestmark = [pytest.mark.model, pytest.mark.slow]
QUESTION = [{"role": "user", "content": "Where is the depot?"}]


def test_mlflow_models_serve_answers_the_prompt_of_training(finished_run: Run, tmp_path: Path) -> None:
    tracking = State.at(finished_run.home).tracking
    mlflow.set_tracking_uri(tracking)
    mlflow.set_registry_uri(tracking)
    model, _ = load_registered("tiny-model")
    served = ("models", "serve", "-m", "models:/tiny-model@champion", "--env-manager", "local", "--host", "127.0.0.1")
    server = Server(
        lambda port: [sys.executable, "-m", "mlflow", *served, "--port", str(port)],
        ready=answers_http("/ping"),
        log=tmp_path / "log",
        environment={
            "MLFLOW_TRACKING_URI": tracking,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # MLflow starts `uvicorn` by its name
        },
        seconds=180,
    )
    with running(server):
        address = f"http://127.0.0.1:{server.port}/invocations"
        answer = httpx.post(address, json={"messages": QUESTION, "max_tokens": 4}, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    (body,) = answer.json()  # a list, and sampled: MLflow takes the defaults of transformers' pipeline
    assert body["usage"]["prompt_tokens"] == len(model.prompt_ids(QUESTION))
    assert body["usage"]["completion_tokens"] <= 4
    (choice,) = body["choices"]
    assert choice["message"]["role"] == "assistant"
    assert isinstance(choice["message"]["content"], str)
