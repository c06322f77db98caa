"""API keys and rates: no route without a valid key, keys kept as hashes, a running server follows."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dolly.config import Config, Serve
from dolly.errors import UsageError
from dolly.serve.app import make_app
from dolly.serve.exposure import require_safe
from dolly.serve.guard import OPEN
from dolly.serve.keys import KeyFile
from dolly.serve.models import Models
from dolly.serve.routes import Limits
from tests.serve.scripted import ScriptedEngine, served

HELLO = {"messages": [{"role": "user", "content": "Which gate?"}]}


def client_of(tokenizer: Any, file: Path, host: str = "127.0.0.1", **limits: Any) -> TestClient:
    engine = ScriptedEngine(lambda _: tokenizer.encode("Gate 4."))
    models = Models({"m@champion": served(tokenizer, engine)})
    return TestClient(make_app(models, Limits(**limits), keys=KeyFile(file)), base_url=f"http://{host}")


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_no_route_answers_without_a_valid_key(tiny_tokenizer: Any, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    valid, revoked = keys.add("ann"), keys.add("bob")
    other = KeyFile(tmp_path / "other.json").add("ann")
    keys.revoke("bob")
    client = client_of(tiny_tokenizer, tmp_path / "keys.json", host="dolly.example")
    routes = [(route.path.replace("{name}", "m"), method) for route in client.app.routes for method in route.methods]
    routes.append(("/nothing", "GET"))
    assert len(routes) > 10
    wrong = [{}, bearer(""), bearer("x"), bearer(revoked), bearer(other), bearer(valid[:-1]), bearer(f"{valid}x")]
    wrong += [
        {"Authorization": valid},
        {"Authorization": f"Basic {valid}"},
        {"Authorization": "Bearer \u00e9".encode()},
    ]
    for path, method in routes:
        statuses = [client.request(method, path, headers=headers).status_code for headers in wrong]
        assert set(statuses) == ({200} if path in OPEN else {401}), path
        assert client.request(method, path, headers=bearer(valid)).status_code != 401
    refused = client.post("/v1/chat/completions", json=HELLO)
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert client.post("/v1/chat/completions", json=HELLO, headers=bearer(valid)).status_code == 200


def test_a_running_server_follows_the_file(tiny_tokenizer: Any, tmp_path: Path) -> None:
    client, keys = client_of(tiny_tokenizer, tmp_path / "keys.json"), KeyFile(tmp_path / "keys.json")
    assert client.get("/v1/models").status_code == 200
    key = keys.add("ann")
    assert client.get("/v1/models").status_code == 401
    assert client.get("/v1/models", headers=bearer(key)).status_code == 200
    keys.revoke("ann")
    assert client.get("/v1/models", headers=bearer(key)).status_code == 401
    assert client.get("/v1/models").status_code == 401, "a server whose last key is revoked stays closed"


@pytest.mark.parametrize(("content", "status"), [(None, 401), ("[]", 401), ("", 503), ('["x"]', 503), ("null", 503)])
def test_a_file_that_is_lost_or_damaged_opens_nothing(
    tiny_tokenizer: Any, tmp_path: Path, content: str | None, status: int
) -> None:
    file = tmp_path / "keys.json"
    key = KeyFile(file).add("ann")
    client = client_of(tiny_tokenizer, file)
    assert client.get("/v1/models", headers=bearer(key)).status_code == 200
    file.unlink()
    if content is not None:
        file.write_text(content)
    assert [client.get("/v1/models", headers=headers).status_code for headers in ({}, bearer(key))] == [status] * 2


def test_keys_are_kept_as_hashes(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    made = [keys.add("ann"), keys.add("bob")]
    text = (tmp_path / "keys.json").read_text()
    assert not any(key in text or key.removeprefix("dolly-") in text for key in made)
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert len({key["sha256"] for key in json.loads(text)}) == 2
    with pytest.raises(UsageError, match="a key named ann"):
        keys.add("ann")
    keys.revoke("ann")
    assert keys.add("ann") not in made
    assert [(key.name, bool(key.revoked)) for key in keys.all()] == [("ann", True), ("bob", False), ("ann", False)]
    with pytest.raises(UsageError, match="no valid key named eve"):
        keys.revoke("eve")


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 200), ("localhost:9", 200), ("evil.example", 403)])
def test_without_keys_only_loopback_names_are_answered(
    tiny_tokenizer: Any, tmp_path: Path, host: str, status: int
) -> None:
    assert client_of(tiny_tokenizer, tmp_path / "none.json", host=host).get("/v1/models").status_code == status


def test_a_rate_is_of_one_key(tiny_tokenizer: Any, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    ann, bob = keys.add("ann"), keys.add("bob")
    client = client_of(tiny_tokenizer, tmp_path / "keys.json", requests_per_minute=3)
    responses = [client.get("/v1/models", headers=bearer(ann)) for _ in range(5)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
    assert 1 <= int(responses[-1].headers["Retry-After"]) <= 20
    assert client.get("/v1/models", headers=bearer(bob)).status_code == 200
    assert client.get("/health").status_code == 200


def test_other_machines_need_keys_and_tls() -> None:
    require_safe(Serve(), keyed=False)
    for settings in (Serve(host="0.0.0.0"), Serve(host="192.0.2.1", behind_proxy=True)):
        with pytest.raises(UsageError, match="dolly keys add"):
            require_safe(settings, keyed=False)
    with pytest.raises(UsageError, match=r"serve\.tls_certificate"):
        require_safe(Serve(host="0.0.0.0"), keyed=True)
    require_safe(Serve(host="0.0.0.0", behind_proxy=True), keyed=True)
    require_safe(Serve(host="0.0.0.0", tls_certificate="c.pem", tls_key="k.pem"), keyed=True)
    with pytest.raises(ValueError, match="tls_certificate and tls_key"):
        Config.model_validate({"name": "x", "serve": {"tls_key": "k.pem"}})
