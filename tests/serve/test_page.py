"""The chat page's files: which are served, with which headers, and what they may not hold; `dolly chat`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dolly.cli import main
from dolly.config import Serve
from dolly.serve.app import make_app
from dolly.serve.feedback import FeedbackLog
from dolly.serve.models import Models
from dolly.serve.open_page import open_page, page_address
from dolly.serve.page import MEDIA
from dolly.serve.routes import Limits
from dolly.serve.server import bind, serving
from tests.serve.scripted import ScriptedEngine, app_of, served
from tests.support import free_port

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dolly" / "serve" / "page"
FILES = sorted(FOLDER.iterdir())


@pytest.fixture
def client(tiny_tokenizer: Any) -> TestClient:
    return TestClient(app_of(tiny_tokenizer))


def test_the_files_and_no_others_are_served(client: TestClient) -> None:
    assert set(MEDIA) == {"/", "/page/settings.json"} | {f"/page/{f.name}" for f in FILES if f.suffix != ".html"}
    for path, media in MEDIA.items():
        response = client.get(path)
        assert response.status_code == client.head(path).status_code == 200
        assert response.headers["content-type"].split(";")[0] == media
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cache-control"] == "no-cache"
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
    assert client.get("/").text == (FOLDER / "index.html").read_text()


_ELSEWHERE = (
    *("/page", "/page/", "/page/index.html", "/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py"),
    *("/page//chat.js", "/page/chat.js%00", "/page/./%2e%2e/keys.py", "/PAGE/chat.js", "/page/chat.js/"),
)


@pytest.mark.parametrize("path", _ELSEWHERE)
def test_other_paths_are_not_found(client: TestClient, path: str) -> None:
    response = client.get(path, follow_redirects=False)
    if response.status_code == 307:  # a slash too many
        response = client.get(path)
        assert response.text == (FOLDER / "chat.js").read_text()
    else:
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"


def test_the_settings_say_whether_feedback_is_stored(tiny_tokenizer: Any, tmp_path: Path) -> None:
    models = Models({"m@champion": served(tiny_tokenizer, ScriptedEngine(lambda _: []))})
    for log in (None, FeedbackLog(tmp_path)):
        client = TestClient(make_app(models, Limits(new_tokens=99), feedback=log))
        assert client.get("/page/settings.json").json() == {"feedback": log is not None, "max_tokens": 99}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_asks_no_other_host_and_writes_no_markup(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc", text)
    assert not re.search(r"localStorage|document\.cookie|style=|\son[a-z]+=\"", text)
    assert len(text.splitlines()) <= 250


def test_what_the_page_loads_is_there() -> None:
    named = set(re.findall(r'(?:href|src)="([^"]+)"', (FOLDER / "index.html").read_text()))
    for file in FOLDER.glob("*.js"):
        named |= {f"page/{name}" for name in re.findall(r'from "\./([^"]+)"', file.read_text())}
    assert {f"/{name}" for name in named} == set(MEDIA) - {"/", "/page/settings.json"}


def test_the_files_are_in_the_package() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "serve/page/*" in setuptools["package-data"]["dolly"]


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (Serve(), "http://127.0.0.1:8808/"),
        (Serve(host="0.0.0.0", port=9), "http://127.0.0.1:9/"),
        (Serve(host="::1"), "http://[::1]:8808/"),
        (Serve(host="dolly.example", tls_certificate="c", tls_key="k"), "https://dolly.example:8808/"),
    ],
)
def test_the_address_of_the_page(settings: Serve, address: str) -> None:
    assert page_address(settings) == address


def test_dolly_chat_opens_the_page(tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    said: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or len(opened) == 1)
    with serving(app_of(tiny_tokenizer), bind("127.0.0.1", 0)) as address:
        settings = Serve(port=int(address.rsplit(":", 1)[1]))
        open_page(settings, say=said.append, browser=False)
        assert (opened, said) == ([], [f"m (version 1): {address}/"])
        open_page(settings, say=said.append)
        assert opened == [f"{address}/"]
        open_page(settings, say=said.append)
        assert "no browser could be opened" in said[-1]


def test_dolly_chat_without_a_server(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["chat", "conf/demo.yaml", f"serve.port={free_port()}"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "no server at http://127.0.0.1:" in line
    assert "run dolly serve CONFIG first" in line
