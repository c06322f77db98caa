"""The running server: OpenAI's format, the prompt of training, refusals."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from dolly.schema import GOLD_EXAMPLES
from dolly.tables import Tables
from tests.support import Run, dolly, free_port

pytestmark = [pytest.mark.model, pytest.mark.slow]


@contextmanager
def started(run: Run) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """`dolly serve` as a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "dolly.cli", "serve", str(run.config), f"serve.port={port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            deadline = time.monotonic() + 120
            while True:
                try:
                    client.get("/health").raise_for_status()
                    break
                except httpx.HTTPError:
                    assert process.poll() is None, process.stdout.read() if process.stdout else ""
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            yield process, client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@pytest.fixture(scope="module")
def server(finished_run: Run) -> Iterator[httpx.Client]:
    with started(finished_run) as (_, client):
        yield client


def ask(server: httpx.Client, content: str = "Where is the depot?", **more: Any) -> httpx.Response:
    request = {"messages": [{"role": "user", "content": content}], "max_tokens": 8, **more}
    return server.post("/v1/chat/completions", json=request)


def test_the_served_prompt_is_the_prompt_of_training(server: httpx.Client, finished_run: Run) -> None:
    gold = Tables(finished_run.home / "tables").read_arrow(GOLD_EXAMPLES, scope="tiny").to_pylist()
    assert len(gold) > 20
    for row in gold:
        body = ask(server, row["turns"][0]["content"], return_token_ids=True).json()
        assert body["prompt_token_ids"] == row["input_ids"][: row["loss_mask"].index(True)]
        assert body["usage"]["prompt_tokens"] == len(body["prompt_token_ids"])


def test_sampling_with_a_seed_is_repeatable_and_another_seed_gives_another_answer(server: httpx.Client) -> None:
    def answer(**sampling: Any) -> str:
        return str(ask(server, **sampling).json()["choices"][0]["message"]["content"])

    sampled = {seed: answer(temperature=1.5, seed=seed) for seed in range(1, 5)}
    assert {seed: answer(temperature=1.5, seed=seed) for seed in sampled} == sampled
    assert len({*sampled.values(), answer(temperature=0)}) == 5


def test_without_temperature_the_answer_does_not_depend_on_the_seed(server: httpx.Client) -> None:
    answers = {ask(server, temperature=0, seed=seed).json()["choices"][0]["message"]["content"] for seed in range(4)}
    assert len(answers) == 1


def test_clients_that_leave_do_not_block_the_next_one(server: httpx.Client) -> None:
    request = {"messages": [{"role": "user", "content": "Tell a story"}], "max_tokens": 200, "temperature": 1.0}
    for _ in range(3):
        with server.stream("POST", "/v1/chat/completions", json=request | {"stream": True}) as leaving:
            next(leaving.iter_lines())
        with pytest.raises(httpx.ReadTimeout):  # one more leaves without having read anything
            server.post("/v1/chat/completions", json=request, timeout=httpx.Timeout(60, read=0.001))
        assert ask(server).status_code == 200


def test_more_requests_than_threads_are_all_answered(server: httpx.Client) -> None:
    def one(number: int) -> httpx.Response:
        return ask(server, stream=number % 2 == 0)

    with ThreadPoolExecutor(70) as pool:
        answers = list(pool.map(one, range(70)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers[::2])


def test_health_is_answered_at_once_under_load(server: httpx.Client) -> None:
    request = {"messages": [{"role": "user", "content": "gate " * 100}], "max_tokens": 100, "temperature": 1.0}
    seconds = []
    with ThreadPoolExecutor(40) as pool:
        load = [pool.submit(server.post, "/v1/chat/completions", json=request) for _ in range(40)]
        while not all(one.done() for one in load):
            started = time.monotonic()
            assert server.get("/health").status_code == 200
            seconds.append(time.monotonic() - started)
            time.sleep(0.02)
    assert {one.result().status_code for one in load} == {200}
    assert sorted(seconds)[len(seconds) // 2] < 0.1
    assert max(seconds) < 1


def test_a_sigterm_lets_running_answers_end(finished_run: Run) -> None:
    request = {"messages": [{"role": "user", "content": "Tell a story"}], "max_tokens": 200, "temperature": 1.0, "n": 8}
    with started(finished_run) as (process, client), ThreadPoolExecutor(16) as pool:
        # Four run and the others wait.
        load = [pool.submit(client.post, "/v1/chat/completions", json=request) for _ in range(16)]
        while "dolly_running_answers 32.0" not in client.get("/metrics").text:
            assert not all(one.done() for one in load)
        process.send_signal(signal.SIGTERM)
        statuses = [one.result().status_code for one in load]
        process.wait(15)
    assert statuses.count(200) >= 4
    assert set(statuses) <= {200, 503}


def test_a_port_in_use_is_told_before_anything_is_loaded(finished_run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = dolly("serve", str(finished_run.config), f"serve.port={port}")
    assert result.returncode == 1
    assert f"port {port} of 127.0.0.1 can't be taken" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
