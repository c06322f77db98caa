"""Feedback: what is stored, that nothing is lost or mixed, what is refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dolly.config import ServeFilter
from dolly.serve.app import make_app
from dolly.serve.errors import Refusal
from dolly.serve.feedback import FeedbackLog
from dolly.serve.filters import Filters, make_filter
from dolly.serve.keys import KeyFile
from dolly.serve.models import Models
from dolly.serve.routes import Limits
from tests.serve.scripted import ScriptedEngine, served

PATH = "/v1/feedback"
ANSWER = {"response": "chatcmpl-1", "model": "m", "version": "1", "text": "Gate 4."}
ABOUT = {"messages": [{"role": "user", "content": "Which gate?"}], "answers": [ANSWER]}
UP = ABOUT | {"rating": "up"}


def client_of(tokenizer: Any, folder: Path | None, **settings: Any) -> TestClient:
    engine = ScriptedEngine(lambda _: tokenizer.encode("Gate 4."))
    models = Models({f"m@{alias}": served(tokenizer, engine) for alias in ("champion", "challenger")})
    limits = settings.pop("limits", Limits())
    return TestClient(
        make_app(models, limits, feedback=FeedbackLog(folder) if folder else None, **settings),
        base_url="http://127.0.0.1",
    )


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def test_ratings_votes_and_corrections_are_stored(tiny_tokenizer: Any, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    headers = {"Authorization": f"Bearer {keys.add('ann')}"}
    folder = tmp_path / "feedback"
    client = client_of(tiny_tokenizer, folder, keys=keys)
    other = ANSWER | {"model": "m@challenger", "version": "2", "temperature": 0.7, "max_tokens": 9}
    bodies = [UP, ABOUT | {"correction": "Gate 5,\nsüd.\u2028"}, ABOUT | {"answers": [ANSWER, other], "vote": "b"}]
    responses = [client.post(PATH, json=body, headers=headers) for body in bodies]
    assert [response.status_code for response in responses] == [200, 200, 200]
    (file,) = folder.iterdir()
    assert file.name == f"{datetime.now(UTC):%Y-%m}.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rated, corrected, voted = (json.loads(line) for line in file.read_bytes().decode().split("\n")[:-1])
    assert [response.json()["id"] for response in responses] == [line["id"] for line in (rated, corrected, voted)]
    assert datetime.fromisoformat(rated["time"]).utcoffset() == datetime.now(UTC).utcoffset()
    assert (rated["owner"], rated["rating"], rated["vote"], rated["correction"]) == ("ann", "up", None, None)
    assert rated["messages"] == ABOUT["messages"]
    settings = {"alias": "champion", "temperature": None, "max_tokens": None}
    assert rated["answers"] == [ANSWER | settings]
    assert corrected["correction"] == "Gate 5,\nsüd.\u2028"
    assert voted["vote"] == "b"
    assert voted["answers"][1] == other | {"model": "m", "alias": "challenger"}
    assert client.post(PATH, json=UP).status_code == 401


def test_filters_mask_what_is_stored(tiny_tokenizer: Any, tmp_path: Path) -> None:
    filters = Filters(
        [
            make_filter(ServeFilter(name="rival", words=("Acme",), action="mask")),
            make_filter(ServeFilter(name="project", pattern=r"PRJ-\d+", of="output", action="mask")),
            make_filter(ServeFilter(name="bomb", words=("bomb",))),
        ]
    )
    client = client_of(tiny_tokenizer, tmp_path, filters=filters)
    about = {
        "messages": [{"role": "system", "content": "Acme!"}, {"role": "user", "content": "acme?"}],
        "answers": [ANSWER | {"text": "Acme has PRJ-12."}],
        "correction": "ACME had PRJ-13.",
    }
    assert client.post(PATH, json=about).status_code == 200
    (line,) = lines(tmp_path)
    assert [turn["content"] for turn in line["messages"]] == ["[rival]!", "[rival]?"]
    assert line["answers"][0]["text"] == "[rival] has [project]."
    assert line["correction"] == "[rival] had [project]."
    refused = [
        about | {"messages": [{"role": "user", "content": "a bomb"}]},
        about | {"answers": [ANSWER | {"text": "a bomb"}]},
        about | {"correction": "a bomb"},
    ]
    for body in refused:
        response = client.post(PATH, json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "content_filter")
    assert len(lines(tmp_path)) == 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (ABOUT, 400, "rating"),
        (UP | {"vote": "a"}, 400, "rating and vote"),
        (ABOUT | {"vote": "a"}, 400, "answers: found 1; expected 2 with vote"),
        (UP | {"answers": [ANSWER, ANSWER]}, 400, "answers"),
        (UP | {"answers": []}, 400, "answers"),
        (UP | {"answers": [ANSWER] * 3}, 400, "answers"),
        (UP | {"messages": []}, 400, "messages"),
        (UP | {"messages": [{"role": "tool", "content": "x"}]}, 400, "role"),
        (UP | {"messages": [{"role": "user", "content": "x", "name": "y"}]}, 400, "name"),
        (UP | {"messages": [{"role": "user", "content": ["x"]}]}, 400, "content"),
        (UP | {"rating": "great"}, 400, "rating"),
        (UP | {"rating": 1}, 400, "rating"),
        (ABOUT | {"correction": " \n"}, 400, "correction"),
        (UP | {"metadata": {}}, 400, "metadata"),
        (UP | {"answers": [ANSWER | {"model": "other"}]}, 404, "other"),
        (UP | {"answers": [ANSWER | {"version": 1}]}, 400, "version"),
        (UP | {"answers": [ANSWER | {"temperature": 3}]}, 400, "temperature"),
        (UP | {"answers": [ANSWER | {"path": "x"}]}, 400, "path"),
        (UP | {"answers": [{}]}, 400, "answers.0.response"),
        (UP | {"messages": [{"role": "user", "content": "x" * 5000}]}, 413, "bytes"),
    ],
)
def test_what_is_not_valid_is_refused(
    tiny_tokenizer: Any, tmp_path: Path, body: dict[str, Any], status: int, words: str
) -> None:
    response = client_of(tiny_tokenizer, tmp_path, limits=Limits(body_bytes=4096)).post(PATH, json=body)
    assert response.status_code == status
    error = response.json()["error"]
    assert words in error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    assert not list(tmp_path.iterdir())


def test_the_schema_says_which_opinion_is_about_how_many_answers(tiny_tokenizer: Any) -> None:
    schemas = client_of(tiny_tokenizer, None).get("/openapi.json").json()["components"]["schemas"]
    assert {
        rule["required"][0]: rule["properties"]["answers"]["maxItems"] for rule in schemas["Feedback"]["oneOf"]
    } == {
        "rating": 1,
        "correction": 1,
        "vote": 2,
    }


def test_other_bodies_and_a_server_without_feedback(tiny_tokenizer: Any, tmp_path: Path) -> None:
    client = client_of(tiny_tokenizer, tmp_path)
    assert client.post(PATH, content=json.dumps(UP), headers={"Content-Type": "text/plain"}).status_code == 415
    json_type = {"Content-Type": "application/json"}
    surrogate = json.dumps(UP).replace("Gate 4.", "\\ud800").encode()
    for content in (b"", b"[]", b"{", surrogate):
        assert client.post(PATH, content=content, headers=json_type).status_code == 400
    assert client.get(PATH).status_code == 405
    assert not list(tmp_path.iterdir())
    response = client_of(tiny_tokenizer, None).post(PATH, json=UP)
    assert response.status_code == 404
    assert "serve.feedback is false" in response.json()["error"]["message"]


def test_a_folder_that_can_not_be_written(tiny_tokenizer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "feedback"
    folder.write_text("a file where the folder should be")
    client = client_of(tiny_tokenizer, folder)
    response = client.post(PATH, json=UP)
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert "was not stored" in response.json()["error"]["message"]
    folder.unlink()
    folder.mkdir()
    full = folder / f"{datetime.now(UTC):%Y-%m}.jsonl"
    full.symlink_to("/dev/full")
    response = client.post(PATH, json=UP)
    assert response.status_code == 503
    assert "No space left" in response.json()["error"]["message"]
    full.unlink()
    assert client.post(PATH, json=UP).status_code == 200
    assert len(lines(folder)) == 1


def test_a_line_that_the_disk_took_in_part_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, line = FeedbackLog(tmp_path), {"time": "2026-11-01T00:00:00Z", "text": "first"}
    log.write(line)
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:20]))
    with pytest.raises(Refusal, match="the disk took 20 of"):
        log.write(line | {"text": "second"})
    monkeypatch.undo()
    assert lines(tmp_path) == [line]
    with (tmp_path / "2026-11.jsonl").open("a") as file:
        file.write('{"torn": ')  # a machine that lost power
    log.write(line | {"text": "third"})
    assert [text.split('"')[-2] for text in (tmp_path / "2026-11.jsonl").read_text().splitlines()] == [
        "first",
        "torn",
        "third",
    ]


def write_many(folder: Path, writer: int) -> None:
    log = FeedbackLog(folder)
    for number in range(100):
        log.write({"time": "2026-11", "writer": writer, "number": number, "text": f"{writer}" * 20_000})


def test_several_servers_do_not_mix_their_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(tmp_path, writer)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    stored = lines(tmp_path)
    assert sorted((line["writer"], line["number"]) for line in stored) == [(w, n) for w in range(3) for n in range(100)]
    assert all(set(line["text"]) == {str(line["writer"])} for line in stored)
