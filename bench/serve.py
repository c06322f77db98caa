"""How fast many clients get their answers: `dolly serve` against `mlflow models serve` of the same registered version.

python -m bench.serve [--rounds 3] [--tokens 64] [--model smollm2-135m-instruct]

The base model is registered as it is. Both servers, and a third one with int8 weights, run at the same time and are
asked in turn, so that a slow minute of the machine meets all of them: 16 prompts of 100 to 165 tokens, 1, 8 and 16 at
once; then 8 at once beside two processes that keep the cores busy. The prompts are new each time, as OpenVINO keeps the
keys and values of those that it has seen. MLflow's server does not stream: its time to the first token is that of the
answer. The first tokens are compared with transformers' greedy ones in fp32.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench import results
from tests.system.server import Server, answers_http, running

NAME = "bench-serve"
AT_ONCE = (1, 8, 16)
Prompts = list[list[dict[str, str]]]


def register(folder: Path, base: str) -> tuple[Any, Any]:
    """Registers a base model in a new home; returns its state and the model."""
    import mlflow

    from dolly.base_model import locate, weights_sha256
    from dolly.inference import ChatModel
    from dolly.prompts import Prompt
    from dolly.register.registry import CHAMPION, add_version, set_alias
    from dolly.state import State
    from dolly.tracking import connect

    state = State.at(folder / "home")
    connect(state)
    prompt = Prompt("chatml")
    model = ChatModel.from_base(locate(base, allow_network=False), prompt=prompt, dtype="float32")
    weights = folder / "weights"
    model.model.save_pretrained(weights)
    model.tokenizer.save_pretrained(weights)
    card = {"prompt": {"format": "chatml", "system": None, "sha256": prompt.sha256}, "dtype": "float32"}
    (weights / "dolly.json").write_text(json.dumps(card))
    experiment = mlflow.create_experiment(NAME, artifact_location=(folder / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=experiment):
        version = add_version(NAME, weights, tags={"weights_sha256": weights_sha256(str(weights))})
    set_alias(NAME, CHAMPION, version)
    return state, model


def prompts(model: Any, draw: random.Random, count: int = 16) -> Prompts:
    """Questions about texts of the sample company, of 100 to 165 tokens."""
    texts = sorted(Path(__file__).parent.parent.joinpath("dolly/sample/documents").glob("*.md"))
    words = " ".join(text.read_text() for text in texts).split()
    made: Prompts = []
    while len(made) < count:
        start, length = draw.randrange(len(words) - 200), draw.randrange(60, 90)
        question = "Explain this text in many words, sentence by sentence: " + " ".join(words[start : start + length])
        messages = [{"role": "user", "content": question}]
        if 100 <= len(model.prompt_ids(messages)) <= 165:
            made.append(messages)
    return made


def write_config(state: Any, folder: Path) -> Path:
    """Writes a config that serves the registered model."""
    config = folder / "serve.yaml"
    source = {"name": "none", "path": str(config), "format": "jsonl"}
    settings = {"name": "bench", "home": str(state.home), "sources": [source], "register": {"name": NAME}}
    config.write_text(json.dumps(settings))
    return config


@contextmanager
def servers(state: Any, folder: Path) -> Iterator[dict[str, str]]:
    """The addresses of the three servers."""
    config = write_config(state, folder)
    environment = {
        "MLFLOW_TRACKING_URI": state.tracking,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    mlflow = ("models", "serve", "-m", f"models:/{NAME}@champion", "--env-manager", "local", "--host", "127.0.0.1")

    def dolly(precision: str) -> Server:
        command = [sys.executable, "-m", "dolly.cli", "serve", str(config), f"serve.precision={precision}"]
        return Server(
            lambda port: [*command, f"serve.port={port}"],
            ready=answers_http("/health"),
            log=folder / f"{precision}.log",
            environment={},
            seconds=400,
        )

    peer = Server(
        lambda port: [sys.executable, "-m", "mlflow", *mlflow, "--port", str(port)],
        ready=answers_http("/ping"),
        log=folder / "mlflow.log",
        environment=environment,
        seconds=300,
    )
    fp32, int8 = dolly("fp32"), dolly("int8")
    with running(peer), running(fp32), running(int8):
        yield {
            "mlflow": f"http://127.0.0.1:{peer.port}/invocations",
            "fp32": f"http://127.0.0.1:{fp32.port}/v1/chat/completions",
            "int8": f"http://127.0.0.1:{int8.port}/v1/chat/completions",
        }


def ask(name: str, address: str, messages: list[dict[str, str]], tokens: int) -> tuple[int, float]:
    """Asks for one answer; returns its tokens and the seconds to the first of them."""
    started = time.perf_counter()
    request: dict[str, Any] = {"messages": messages, "max_tokens": tokens}
    if name == "mlflow":
        # MLflow's server refuses temperature 0, and samples without one.
        (answer,) = httpx.post(address, json=request, timeout=900, trust_env=False).json()
        return answer["usage"]["completion_tokens"], time.perf_counter() - started
    first, made = 0.0, 0
    request |= {"stream": True, "stream_options": {"include_usage": True}}
    with httpx.stream("POST", address, json=request, timeout=900, trust_env=False) as response:
        for line in response.iter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line[6:])
            if not first and event["choices"] and event["choices"][0]["delta"].get("content"):
                first = time.perf_counter() - started
            made = (event.get("usage") or {}).get("completion_tokens", made)
    return made, first


def measure(name: str, address: str, asked: Prompts, *, at_once: int, tokens: int) -> dict[str, float]:
    """Tokens a second of all answers together, and the times to the first token."""
    some = asked[:2] if at_once == 1 else asked[:8] if name == "mlflow" else asked
    with ThreadPoolExecutor(at_once) as pool:
        started = time.perf_counter()
        answers = list(pool.map(lambda messages: ask(name, address, messages, tokens), some))
        seconds = time.perf_counter() - started
    firsts = sorted(first for _, first in answers)
    return {
        "tokens_per_second": sum(made for made, _ in answers) / seconds,
        "first_token_p50": statistics.median(firsts),
        "first_token_p95": firsts[min(len(firsts) - 1, int(0.95 * len(firsts)))],
    }


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keeps cores busy while the block runs."""
    processes = [multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    time.sleep(2)
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def _burn() -> None:
    while True:
        sum(range(10_000))


def equal_answers(model: Any, address: str, asked: Prompts, tokens: int) -> int:
    """Number of prompts whose first tokens are transformers' greedy ones in fp32."""
    equal = 0
    for messages in asked:
        request = {"messages": messages, "max_tokens": tokens, "return_token_ids": True}
        body = httpx.post(address, json=request, timeout=900, trust_env=False).json()
        equal += body["choices"][0]["token_ids"] == model.tokens([model.prompt_ids(messages)], max_new_tokens=tokens)[0]
    return equal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64, help="of an answer")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="folder or installed base model")
    parser.add_argument("--folder", type=Path, default=results.FOLDER, help="where the result is kept")
    given = parser.parse_args()
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        state, model = register(Path(scratch), given.model)
        draw = random.Random(11)
        with servers(state, Path(scratch)) as addresses:
            for name, address in addresses.items():
                ask(name, address, prompts(model, draw, 1)[0], 4)
            settings = [(str(number), number, 0) for number in AT_ONCE] + [("8 beside another job", 8, 2)]
            for _ in range(given.rounds):
                for label, at_once, burners in settings:
                    asked = prompts(model, draw)
                    with busy_cores(burners):
                        for name, address in addresses.items():
                            figures = measure(name, address, asked, at_once=at_once, tokens=given.tokens)
                            found.setdefault(label, {}).setdefault(name, []).append(figures)
                            rounded = {key: round(value, 2) for key, value in figures.items()}
                            print(label, name, rounded, file=sys.stderr, flush=True)
            asked = prompts(model, draw)
            equal = {name: equal_answers(model, addresses[name], asked, given.tokens) for name in ("fp32", "int8")}
    medians = {
        label: {
            name: {key: round(statistics.median(each[key] for each in rounds), 2) for key in rounds[0]}
            for name, rounds in by_server.items()
        }
        for label, by_server in found.items()
    }
    speed = {label: {name: each["tokens_per_second"] for name, each in by.items()} for label, by in medians.items()}
    ratios = {
        label: {name: round(by[name] / by["mlflow"], 2) for name in ("fp32", "int8")} for label, by in speed.items()
    }
    figures = {"at_once": medians, "times_as_fast_as_mlflow": ratios, "equal_to_transformers_of_16": equal}
    packages = ("openvino", "openvino-genai", "transformers", "torch", "mlflow")
    results.save("serve", figures, packages=packages, folder=given.folder)


if __name__ == "__main__":
    main()
