"""The servers of a router: who may register, who is there, who is asked; keys and rates."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from dolly.cli import main
from dolly.config import Serve
from dolly.errors import UsageError
from dolly.serve.app import make_app
from dolly.serve.keys import KeyFile
from dolly.serve.models import Models
from dolly.serve.router.app import REGISTER, make_router
from dolly.serve.router.run import join_router
from dolly.serve.router.secret import VARIABLE, bearer, read_secret
from dolly.serve.routes import Limits
from dolly.serve.server import bind, serving
from tests.serve.broken import broken_server
from tests.serve.registered import serving_config
from tests.serve.routing import CHAT, HEARTBEAT, HELLO, SECRET, announce, behind, eventually, routing, servers
from tests.serve.scripted import ScriptedEngine, served
from tests.support import free_port


def test_models_are_those_of_all_servers(tiny_tokenizer: Any, apps: list[Any]) -> None:
    engine = ScriptedEngine(lambda _: tiny_tokenizer.encode("Other."))
    both = {
        "m@champion": served(tiny_tokenizer, engine),
        "other@champion": served(tiny_tokenizer, engine, name="other"),
    }
    more = make_app(Models(both), Limits())
    with routing() as router, behind(router, apps[0]), behind(router, more):
        eventually(lambda: servers(router) == 2)
        listed = {model["id"]: model for model in router.get("/v1/models").json()["data"]}
        assert {name: model["servers"] for name, model in listed.items()} == {"m": 2, "other": 1}
        assert router.get("/v1/models/other@champion").json()["context_length"] == 200
        for name in ("other", "other@champion"):
            answer = router.post(CHAT, json=HELLO | {"model": name}).json()
            assert answer["model"] == "other"


def test_a_wrong_secret_registers_nothing_and_servers_answer_their_router_only(apps: list[Any]) -> None:
    with routing() as router:
        with behind(router, apps[0], secret="another-secret-of-them"):
            for headers in (
                {},
                bearer("another-secret-of-them"),
                bearer(f"{SECRET}x"),
                {"Authorization": "\u00e9".encode()},
            ):
                assert router.post(REGISTER, json={}, headers=headers).status_code == 401
                assert router.delete(REGISTER, params={"url": "x"}, headers=headers).status_code == 401
            time.sleep(5 * HEARTBEAT)
            assert servers(router) == 0
        with behind(router, apps[1]) as url:
            eventually(lambda: servers(router) == 1)
            direct = httpx.post(f"{url}{CHAT}", json=HELLO, trust_env=False)
            assert direct.status_code == 401
            assert httpx.get(f"{url}/health", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"url": "ftp://a"}, "url"),
        ({"url": "http://a/v1?x"}, "url"),
        ({"url": "http://u:p@a"}, "url"),
        ({"models": [{"id": 1}]}, "models"),
        ({"places": 0}, "places"),
        ({"url": "http://127.0.0.1:1"}, "can't reach"),
    ],
)
def test_an_announcement_that_is_wrong_is_refused(said: dict[str, Any], words: str) -> None:
    right = {"url": "http://127.0.0.1:1", "models": [], "running": 0, "waiting": 0, "places": 1}
    with routing() as router:
        response = router.post(REGISTER, json=right | said, headers=bearer(SECRET))
        assert response.status_code == 400
        assert words in response.json()["error"]["message"]
        assert servers(router) == 0


def test_a_server_that_misses_heartbeats_is_forgotten_and_returns(router: httpx.Client) -> None:
    with broken_server("closes") as url:
        announce(router, url, alias="champion")
        assert servers(router) == 3
        eventually(lambda: servers(router) == 2)
        announce(router, url, alias="champion")
        assert servers(router) == 3


def test_a_server_that_is_late_is_asked_if_there_is_no_other(apps: list[Any]) -> None:
    with routing() as router, serving(apps[0], bind("127.0.0.1", 0)) as url:
        announce(router, url)
        eventually(lambda: servers(router) == 0)
        assert router.post(CHAT, json=HELLO).status_code == 200


def test_keys_and_rates_are_the_routers(apps: list[Any], tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    ann, bob = (bearer(keys.add(name)) for name in ("Änn", "bob"))
    owners: list[str | None] = []
    for app in apps:
        watch(app, owners)
    with routing(keys=keys, requests_per_minute=3) as router, behind(router, apps[0]), behind(router, apps[1]):
        eventually(lambda: servers(router) == 2)
        assert router.post(CHAT, json=HELLO).status_code == 401
        spoofed = ann | {"X-Dolly-Owner": "eve", "X-Dolly-Client": "192.0.2.1"}
        assert [router.post(CHAT, json=HELLO, headers=spoofed).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert router.post(CHAT, json=HELLO, headers=bob).status_code == 200
        assert router.post(REGISTER, json={}, headers=ann).status_code == 401
    assert [owner for owner in owners if owner] == [("Änn", "127.0.0.1")] * 3 + [("bob", "127.0.0.1")]


def test_a_server_that_ends_leaves_first_and_no_request_is_lost(apps: list[Any]) -> None:
    for app in apps:
        app.engine._pause = 0.01
    statuses: list[int] = []
    stop = threading.Event()

    def load(router: httpx.Client) -> None:
        while not stop.is_set():
            statuses.append(router.post(CHAT, json=HELLO).status_code)

    with routing() as router, behind(router, apps[1]), ThreadPoolExecutor(4) as pool:
        with behind(router, apps[0]):
            eventually(lambda: servers(router) == 2)
            running = [pool.submit(load, router) for _ in range(4)]
            eventually(lambda: apps[0].engine.asked)
        before = len(statuses)
        eventually(lambda: len(statuses) > before + 8)
        stop.set()
        for each in running:
            each.result()
    assert set(statuses) == {200}


def test_a_server_needs_an_address_and_a_secret(apps: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for secret, words in ((None, "no DOLLY_ROUTER_SECRET"), ("short", "5 characters"), ("with spaces in it ok", "20")):
        monkeypatch.setenv(VARIABLE, secret) if secret else monkeypatch.delenv(VARIABLE, raising=False)
        with pytest.raises(UsageError, match=words):
            read_secret()
    with bind("127.0.0.1", 0) as listener, pytest.raises(UsageError, match=r"serve\.host 0\.0\.0\.0"):
        join_router(apps[0], Serve(host="0.0.0.0", router={"url": "http://r:1"}), listener)
    for wrong in ("r:1", "http://r:1/v1", "http://u:p@r", "https://"):
        with pytest.raises(ValueError, match="expected http://HOST:PORT"):
            Serve(router={"url": wrong})


def test_a_router_that_others_reach_needs_keys_and_each_needs_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    command = ["route", str(serving_config(tmp_path / "home", tmp_path / "tiny.yaml"))]
    assert main([*command, "serve.router.host=0.0.0.0"]) == 2
    assert "serve.router.host 0.0.0.0, which others can reach, without API keys" in capsys.readouterr().err
    assert main(command) == 2
    assert "no DOLLY_ROUTER_SECRET" in capsys.readouterr().err


def test_a_server_is_there_before_its_router(apps: list[Any]) -> None:
    port = free_port()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client, behind(client, apps[0]):
        time.sleep(2 * HEARTBEAT)
        with serving(make_router(SECRET, heartbeat_seconds=HEARTBEAT), bind("127.0.0.1", port)):
            eventually(lambda: servers(client) == 1)
            assert client.post(CHAT, json=HELLO).status_code == 200


def test_without_servers_requests_get_503_and_unknown_models_404(apps: list[Any]) -> None:
    def require_unavailable() -> None:
        response = router.post(CHAT, json=HELLO | {"model": "m"})
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1
        assert response.json()["error"]["code"] == "unavailable"
        assert router.get("/ready").status_code == 503

    with routing() as router:
        require_unavailable()
        with behind(router, apps[0]):
            eventually(lambda: servers(router) == 1)
            assert router.get("/ready").status_code == 200
            missing = router.post(CHAT, json=HELLO | {"model": "other"})
            assert missing.status_code == 404
            assert missing.json()["error"]["code"] == "model_not_found"
        assert servers(router) == 0, "a server that ends leaves at once"
        require_unavailable()


def watch(app: Any, owners: list[Any]) -> None:
    """Notes the owner and the address of each request that reaches a server."""

    class Watch:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"] == CHAT:
                owners.append((scope["state"]["owner"], scope["client"][0]))
            await self._inner(scope, receive, send)

    app.add_middleware(Watch)
