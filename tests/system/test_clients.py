"""The real clients of OpenAI's API, and schemathesis, against a server on a socket."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dolly.serve.app import make_app
from dolly.serve.feedback import FeedbackLog
from dolly.serve.keys import KeyFile
from dolly.serve.models import Models
from dolly.serve.routes import Limits
from dolly.serve.server import bind, serving
from tests.serve.scripted import ScriptedEngine, served

pytestmark = pytest.mark.slow

BIN = Path(os.environ.get("DOLLY_SYSTEM", Path(__file__).parents[2] / ".venv-system")) / "clients" / "bin"
ANSWER = "Gate 4 is open."
CALL = 'Let me see.\n<tool_call>\n{"name": "gate", "arguments": {"number": 4}}\n</tool_call>'


@pytest.fixture(scope="module")
def server(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and key of a server whose model calls a function if it is given one, and else answers `ANSWER`."""

    def answer(ids: Sequence[int]) -> list[int]:
        offered = "<tools>" in tiny_tokenizer.decode(ids)
        made: list[int] = tiny_tokenizer.encode(CALL if offered else ANSWER, add_special_tokens=False)
        return made

    home = tmp_path_factory.mktemp("home")
    keys = KeyFile(home / "keys.json")
    key = keys.add("ann")
    model = served(tiny_tokenizer, ScriptedEngine(answer, context_length=2000))
    app = make_app(Models({"m@champion": model}), Limits(), keys=keys, feedback=FeedbackLog(home / "feedback"))
    with serving(app, bind("127.0.0.1", 0)) as address:
        yield address, key


def test_openai_and_langchain(server: tuple[str, str]) -> None:
    script = Path(__file__).parent / "clients" / "openai_clients.py"
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [BIN / "python", script, *server], capture_output=True, text=True, timeout=120, env=clean, cwd=elsewhere
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    errors, langchain = found.pop("errors"), found.pop("langchain")
    assert found == {
        "whole": [ANSWER, "stop", "assistant"],
        "streamed": [ANSWER, True, True],
        "stop": ["Gate 4", "Gate"],
        "several": [ANSWER] * 3,
        "neutral": ANSWER,
        "log_probabilities": [ANSWER, True],
        "tools": ["tool_calls", "gate", {"number": 4}, ANSWER],
        "streamed_tools": ["tool_calls", "gate", {"number": 4}],
        "parts": ANSWER,
        "completion": [[ANSWER] * 2, ANSWER],
        "models": [["m"], "m"],
    }
    assert errors == {
        "key": ["AuthenticationError", 401, "invalid_api_key"],
        "model": ["NotFoundError", 404, "model_not_found"],
        "stream": ["BadRequestError", 400, "max_tokens"],
        "bias": ["BadRequestError", 400, "logit_bias"],
        "picture": ["BadRequestError", 400, "invalid_request"],
        "schema": ["BadRequestError", 400, "response_format"],
        "long": ["BadRequestError", 400, "context_length_exceeded"],
        "route": ["NotFoundError", 404, "not_found"],
    }
    assert langchain == {
        "whole": ANSWER,
        "streamed": ANSWER,
        "several": 2,
        "settings": "Gate 4",
        "call": ["gate", {"number": 4}],
        "after the call": ANSWER,
        "history": ANSWER,
    }


def test_no_request_gives_a_server_error_or_breaks_the_description(server: tuple[str, str], tmp_path: Path) -> None:
    address, key = server
    cases = os.environ.get("DOLLY_SCHEMATHESIS_EXAMPLES", "10")  # of each route
    command = [BIN / "schemathesis", "run", f"{address}/openapi.json", "-H", f"Authorization: Bearer {key}"]
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command += ["--checks", checks, "--max-examples", cases, "--seed", "7", "--suppress-health-check", "all"]
    command += ["--exclude-path-regex", "^/page/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]
    print(done.stdout[-1500:])
