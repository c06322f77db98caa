"""The audit log: a line for each request, whatever became of it, with texts only if asked."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dolly.serve.audit import AuditLog
from tests.serve.scripted import app_of

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "Which gate for Ann?"}], "user": "u1"}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def test_requests_are_written_with_hashes(tiny_tokenizer: Any, tmp_path: Path) -> None:
    client = TestClient(app_of(tiny_tokenizer, audit=AuditLog(tmp_path / "audit", "hash")))
    body = client.post(CHAT, json=HELLO).json()
    client.post(CHAT, json=HELLO | {"stream": True, "n": 2})
    client.post("/v1/completions", json={"prompt": "Gate"})
    client.post(CHAT, json={"messages": []})  # never given to a model
    one, two, plain = lines(tmp_path / "audit")
    assert one["id"] == body["id"]
    assert (one["model"], one["version"], one["engine"], one["user"]) == ("m", "1", "scripted", "u1")
    assert (one["owner"], one["outcome"]) == (None, "answered")
    assert one["generated_tokens"] == body["usage"]["completion_tokens"]
    assert one["answers_sha256"] == [hashlib.sha256(b"Gate 4 is open.").hexdigest()]
    assert two["asked_sha256"] == one["asked_sha256"] != plain["asked_sha256"]
    assert two["answers_sha256"] == one["answers_sha256"] * 2
    (file,) = (tmp_path / "audit").iterdir()
    assert "Ann" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_texts_are_written_if_asked(tiny_tokenizer: Any, tmp_path: Path) -> None:
    TestClient(app_of(tiny_tokenizer, audit=AuditLog(tmp_path, "text"))).post(CHAT, json=HELLO)
    (line,) = lines(tmp_path)
    assert line["asked"] == [{"role": "user", "content": "Which gate for Ann?"}]
    assert line["answers"] == ["Gate 4 is open."]
    TestClient(app_of(tiny_tokenizer, audit=AuditLog(tmp_path, "off"))).post(CHAT, json=HELLO)
    assert len(lines(tmp_path)) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_fails_is_written_too(tiny_tokenizer: Any, tmp_path: Path, stream: bool) -> None:
    client = TestClient(app_of(tiny_tokenizer, audit=AuditLog(tmp_path, "text"), fails_after=2))
    client.post(CHAT, json=HELLO | {"stream": stream})
    (line,) = lines(tmp_path)
    assert line["outcome"] == "503"
    assert line["generated_tokens"] == 2


def test_a_line_that_the_disk_takes_in_part_is_taken_back(
    tiny_tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path / "audit", "hash")
    client = TestClient(app_of(tiny_tokenizer, audit=log))
    client.post(CHAT, json=HELLO)
    with monkeypatch.context() as patch:
        patch.setattr("dolly.serve.lines.os.write", lambda file, data, write=os.write: write(file, data[:9]))
        client.post(CHAT, json=HELLO)
    assert "took 9 of" in str(log.fault)
    monkeypatch.setattr("dolly.serve.audit._FAULT_SECONDS", 0)
    assert log.fault is None
    client.post(CHAT, json=HELLO)
    (file,) = (tmp_path / "audit").iterdir()
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 2


def test_a_log_that_can_not_be_written_is_reported(tiny_tokenizer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.write_text("a file where the folder should be")
    client = TestClient(app_of(tiny_tokenizer, audit=AuditLog(folder, "hash")))
    assert client.get("/ready").status_code == 200
    assert client.post(CHAT, json=HELLO).status_code == 200
    response = client.get("/ready")
    assert response.status_code == 503
    assert "audit log" in response.json()["error"]["message"]
    folder.unlink()
    client.post(CHAT, json=HELLO)
    assert client.get("/ready").status_code == 200
