"""The router before servers on real sockets: what it passes on, and what it sends to another server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.serve.broken import broken_server
from tests.serve.routing import CHAT, HELLO, announce, counted, eventually, routing


def streamed(response: Any) -> list[str]:
    return [line.removeprefix("data: ") for line in response.iter_lines() if line]


def test_answers_whole_and_streamed_are_those_of_a_server(router: httpx.Client, apps: list[Any]) -> None:
    whole = router.post(CHAT, json=HELLO, headers={"X-Request-Id": "r-1"})
    assert whole.json()["choices"][0]["message"]["content"] == "Gate 4 is open."
    assert whole.headers["x-request-id"] == "r-1"
    assert not {"connection", "transfer-encoding"} & set(whole.headers)
    with router.stream("POST", CHAT, json=HELLO | {"stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert len(response.headers["x-request-id"]) == 32
        lines = streamed(response)
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line)["choices"][0]["delta"].get("content", "") for line in lines[:-1]]
    assert "".join(chunks) == "Gate 4 is open."
    assert len(chunks) > 3
    assert sum(len(app.engine.asked) for app in apps) == 2


def test_requests_go_to_the_least_busy_server(router: httpx.Client, apps: list[Any]) -> None:
    for app in apps:
        app.engine._pause = 0.05
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: router.post(CHAT, json=HELLO).status_code, range(8)))
    assert set(statuses) == {200}
    assert [len(app.engine.asked) for app in apps] == [4, 4]


def test_the_first_piece_is_passed_on_before_the_last_is_made(router: httpx.Client, apps: list[Any]) -> None:
    for app in apps:
        app.engine._pause = 0.2
    with router.stream("POST", CHAT, json=HELLO | {"stream": True}) as response:
        lines = response.iter_lines()
        next(lines)
        assert sum(app.engine.running for app in apps) == 1
        assert list(lines)[-2] == "data: [DONE]"


def test_a_server_that_has_vanished_loses_no_request(router: httpx.Client, apps: list[Any]) -> None:
    with broken_server("closes") as url:
        announce(router, url, alias="champion")
        responses = [router.post(CHAT, json=HELLO | {"stream": stream}) for stream in (False, True) * 4]
    assert {response.status_code for response in responses} == {200}
    assert counted(router, "dolly_router_resent_total") >= 1


@pytest.mark.parametrize("behaviour", ["busy", "half a body", "headers only"])
def test_what_fails_before_the_client_has_anything_is_sent_to_another(router: httpx.Client, behaviour: str) -> None:
    with broken_server(behaviour) as url:
        announce(router, url, alias="champion")
        responses = [router.post(CHAT, json=HELLO | {"stream": stream}) for stream in (False, True) * 4]
    assert {response.status_code for response in responses} == {200}
    assert counted(router, "dolly_router_resent_total") >= 1


def test_a_stream_that_breaks_ends_with_an_error_event() -> None:
    with routing() as router, broken_server("half a stream") as url:
        announce(router, url)
        response = router.post(CHAT, json=HELLO | {"stream": True})
        assert response.status_code == 200
        first, last = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
        assert json.loads(first) == {"piece": 1}
        assert set(json.loads(last)["error"]) == {"message", "type", "param", "code"}
        assert counted(router, 'dolly_router_requests_total{outcome="broken"}') == 1


def test_the_answer_of_the_last_busy_server_is_passed_on() -> None:
    with routing() as router, broken_server("busy") as url:
        announce(router, url)
        response = router.post(CHAT, json=HELLO)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "7"
    assert response.json()["error"]["message"] == "busy"


def test_a_client_that_leaves_ends_the_request_at_the_server(router: httpx.Client, apps: list[Any]) -> None:
    for app in apps:
        app.engine._pause = 0.3
    with router.stream("POST", CHAT, json=HELLO | {"stream": True}) as response:
        next(response.iter_lines())
    with pytest.raises(httpx.ReadTimeout):
        router.post(CHAT, json=HELLO, timeout=httpx.Timeout(5, read=0.1))
    eventually(lambda: sum(app.engine.cancelled for app in apps) == 2)
    eventually(lambda: counted(router, 'dolly_router_requests_total{outcome="cancelled"}') == 2)


def test_bodies_have_a_limit_and_must_be_json(router: httpx.Client, apps: list[Any]) -> None:
    assert router.post(CHAT, content=b"x" * (1 << 21), headers={"Content-Type": "application/json"}).status_code == 413
    assert router.post(CHAT, content=b"x").status_code == 415
    refused = router.post(CHAT, content=b"{", headers={"Content-Type": "application/json"})
    assert refused.status_code == 400
    assert "error" in refused.json()
    assert router.get("/nothing").json()["error"]["code"] == "not_found"
