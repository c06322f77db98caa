from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolly.errors import EnvironmentFault
from dolly.ingest.convert import Converted, Refused
from dolly.ingest.sandbox import Sandbox
from tests.ingest.convert.samples import LIMITS, docx, lines, odt, paragraph, pdf

SHARED = Path(os.environ.get("DOLLY_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = sorted((SHARED / "enterprise" / "pdf").glob("*.[po]d[ft]"))
GOOD = b"# Title\n\nText"
ENDLESS = b"<table><tr><td>" * 3_000  # the converter needs many seconds for tables in tables
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds and ends a process like this")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(LIMITS) as shared:
        yield shared


def works(sandbox: Sandbox) -> bool:
    return sandbox.convert(GOOD, "a.md") == Converted("# Title\n\nText", "Title", "markdown", None, ())


def child(sandbox: Sandbox) -> int:
    assert sandbox._process is not None
    return sandbox._process.pid


def rule(outcome: Converted | Refused) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.rule


def test_results_and_refusals_come_from_one_child(sandbox: Sandbox) -> None:
    assert works(sandbox)
    first = child(sandbox)
    found = sandbox.convert(pdf(lines(72, 700, ["Größe – one line"])), "a.pdf")
    assert found == Converted("Größe – one line", "", "pdf", 1, ())
    assert rule(sandbox.convert(b"x", "a.xyz")) == "unknown_kind"
    assert child(sandbox) == first


def test_a_hanging_parser_is_ended() -> None:
    with Sandbox(LIMITS._replace(max_seconds=1.0)) as sandbox:
        assert works(sandbox)
        begin = time.monotonic()
        assert rule(sandbox.convert(ENDLESS, "a.html")) == "parser_timeout"
        assert time.monotonic() - begin < 5
        assert works(sandbox)


def test_a_killed_parser_is_a_refusal_and_a_killed_idle_child_is_none(sandbox: Sandbox) -> None:
    assert works(sandbox)
    threading.Timer(0.5, os.kill, (child(sandbox), signal.SIGSEGV)).start()
    outcome = sandbox.convert(ENDLESS, "a.html")
    assert (rule(outcome), outcome.detail) == ("parser_died", "it was ended by SIGSEGV")  # type: ignore[union-attr]
    assert works(sandbox)
    os.kill(child(sandbox), signal.SIGKILL)
    time.sleep(0.1)
    assert works(sandbox)


@linux
def test_memory_is_bounded() -> None:
    with Sandbox(LIMITS._replace(max_memory_bytes=30_000_000)) as sandbox:
        assert rule(sandbox.convert(b"word " * 3_900_000, "a.txt")) == "parser_memory"
        assert works(sandbox)
        # pdfium ends its process when it gets no memory.
        bomb = pdf("BT /F1 9 Tf (x) Tj ET" + " " * 45_000_000, compressed=True)
        assert rule(sandbox.convert(bomb, "a.pdf")) in ("parser_died", "parser_memory")
        assert works(sandbox)


def test_a_large_file_goes_through_the_pipe_or_not_at_all(sandbox: Sandbox) -> None:
    content = b"0123456789abcde\n" * 60_000
    found = sandbox.convert(content, "a.txt")
    assert isinstance(found, Converted)
    assert found.markdown.encode() == content
    assert rule(sandbox.convert(b"x" * (LIMITS.max_bytes + 1), "a.txt")) == "file_too_large"


def test_damaged_files_never_raise(sandbox: Sandbox) -> None:
    chance = random.Random(11)
    files = {path.name: path.read_bytes() for path in REAL}
    files |= {"a.pdf": pdf(lines(72, 700, ["Some words."])), "a.docx": docx(paragraph("x")), "a.odt": odt("x")}
    for name, content in sorted(files.items()):
        for _ in range(5):
            damaged = bytearray(content[: chance.randrange(len(content)) + 1] if chance.random() < 0.3 else content)
            for _ in range(chance.choice((1, 10, 100))):
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            outcome = sandbox.convert(bytes(damaged) + b"\n%%EOF", name)
            assert isinstance(outcome, (Converted, Refused))
    assert works(sandbox)


@linux
def test_the_child_dies_with_its_parent() -> None:
    code = (
        "import os, sys\nfrom dolly.ingest.sandbox import Sandbox\nfrom dolly.ingest.convert import Limits\n"
        "s = Sandbox(Limits(1000, 1, 9.0, 100_000_000, 1000))\ns.convert(b'x', 'a.md')\n"
        "print(s._process.pid, flush=True)\nos._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    status = Path(f"/proc/{int(done.stdout)}/status")
    for _ in range(100):
        if not status.exists() or "State:\tZ" in status.read_text():
            return
        time.sleep(0.05)
    pytest.fail("it lives")


def test_the_child_is_light_and_knows_no_secrets(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, dolly.ingest.sandbox_worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"torch", "pyspark", "pyarrow", "pandas", "numpy", "pydantic"} & set(done.stdout.split())
    monkeypatch.setenv("DOLLY_TOKEN", "secret")
    with Sandbox(LIMITS) as fresh:
        assert works(fresh)
        if sys.platform == "linux":
            assert b"secret" not in Path(f"/proc/{child(fresh)}/environ").read_bytes()


def test_a_child_that_cant_start_is_an_error_of_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Sandbox(LIMITS) as sandbox, pytest.raises(EnvironmentFault, match="didn't start"):
        sandbox.convert(GOOD, "a.md")
