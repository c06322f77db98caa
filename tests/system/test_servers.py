"""The servers that other tests rely on do what those tests need of them."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
from botocore.exceptions import ClientError
from PIL import Image

from tests.support import free_port
from tests.system.browser import screenshot
from tests.system.server import Server, answers_http
from tests.system.servers import S3


def test_s3_lets_one_of_several_writers_make_an_object(s3: S3) -> None:
    client = s3.client()
    refused: list[int] = []

    def put(number: int) -> int | None:
        try:
            client.put_object(Bucket=s3.bucket, Key="conditional", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            refused.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        made = [number for number in pool.map(put, range(8)) if number is not None]
    assert len(made) == 1
    assert set(refused) <= {409, 412}
    assert client.get_object(Bucket=s3.bucket, Key="conditional")["Body"].read() == b"%d" % made[0]


def test_mlflow_keeps_runs_in_postgresql_and_artifacts_on_s3_over_a_kill(
    mlflow_server: Server, s3: S3, tmp_path: Path
) -> None:
    client = mlflow.MlflowClient(f"http://127.0.0.1:{mlflow_server.port}")
    run = client.create_run(client.create_experiment("servers"))
    client.log_metric(run.info.run_id, "loss", 0.5, step=1)
    client.log_text(run.info.run_id, "kept", "note.txt")
    mlflow_server.kill()
    mlflow_server.start()
    assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [0.5]
    downloaded = Path(client.download_artifacts(run.info.run_id, "note.txt", str(tmp_path)))
    assert downloaded.read_text() == "kept"
    keys = [item["Key"] for item in s3.client().list_objects_v2(Bucket=s3.bucket, Prefix="mlflow/")["Contents"]]
    assert [key for key in keys if key.endswith(f"{run.info.run_id}/artifacts/note.txt")]


def test_a_server_that_ends_at_once_fails_with_what_it_printed(tmp_path: Path) -> None:
    server = Server(lambda port: ["sh", "-c", "echo no disk; exit 1"], ready=answers_http("/"), log=tmp_path / "log")
    with pytest.raises(AssertionError, match="no disk"):
        server.start()


def test_a_server_whose_port_is_taken_starts_on_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [free_port(), free_port()]
    command = lambda port: [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]  # noqa: E731
    first = Server(command, ready=answers_http("/"), log=tmp_path / "first.log")
    second = Server(command, ready=lambda port: port != ports[0] and answers_http("/")(port), log=tmp_path / "2.log")
    monkeypatch.setattr("tests.system.server.free_port", iter([ports[0], *ports]).__next__)
    try:
        first.start()
        second.start()
        assert (first.port, second.port) == tuple(ports)
    finally:
        first.stop()
        second.stop()


def test_chromium_shows_mlflows_page(mlflow_server: Server, tmp_path: Path) -> None:
    picture = screenshot(f"http://127.0.0.1:{mlflow_server.port}/", tmp_path / "page.png", width=800, height=600)
    with Image.open(picture) as image:
        assert image.size == (800, 600)
        assert len(image.convert("RGB").getcolors(800 * 600) or []) > 50  # an empty page has one colour
