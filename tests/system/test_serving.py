"""`dolly serve` under load; `bench/serve_load.py` measures the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from bench.serve_load import PLACES, ended_under_load, health_watched, leaving, load, percentile, server
from tests.support import Run
from tests.system.server import running

pytestmark = [pytest.mark.model, pytest.mark.slow]


def test_clients_that_leave_load_and_the_order_to_end(finished_run: Run, tmp_path: Path) -> None:
    with running(server(finished_run.config, tmp_path / "log")) as made:
        address = f"http://127.0.0.1:{made.port}"
        seen = asyncio.run(leaving(address, 60))
        assert set(seen) <= {"200", "429", "503", "left"}
        assert seen["left"]
        body = {"messages": [{"role": "user", "content": "Where is the depot?"}], "max_tokens": 4}
        assert httpx.post(f"{address}/v1/chat/completions", json=body, timeout=2, trust_env=False).status_code == 200
        with health_watched(address) as times:
            seen = asyncio.run(load(address, 4 * PLACES, 8))
        assert set(seen) <= {"200", "429", "503"}
        assert seen["200"] >= PLACES
        assert len(times) > 20
        assert percentile(times, 0.5) < 500
        seen, seconds = asyncio.run(ended_under_load(address, made.pid, PLACES))
        assert set(seen) <= {"200", "429", "503"}
        assert seen["200"]
        assert seconds < 15
