"""A real HTTP server whose models answer as the question asks, without weights."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dolly.engines.base import EngineError, Sampling, Token
from dolly.serve.app import make_app
from dolly.serve.feedback import FeedbackLog
from dolly.serve.keys import KeyFile
from dolly.serve.models import Models
from dolly.serve.routes import Limits
from dolly.serve.server import bind, serving
from tests.serve.scripted import served
from tests.system.hostile import HOSTILE

MARKDOWN = """A gate has **two** parts:

1. the *post*, of `steel`
2. the lock

## How to open it

- push
- pull
  gently

```python
def open_gate(number: int) -> str:
    return f"gate {number} is open, and this line is so long that it scrolls on a phone, or would widen the page"
```
See [the handbook](http://evil.example/book)."""
ANSWERS = {"markdown": MARKDOWN, "slow": "word " * 400, "fails": "Gate 4 is " * 9, "lost": "Gate 4 is " * 9}


class Parrot:
    """Answers the last question by its first word; one that begins with `fails` or `lost` ends in the middle.

    Args:
        tokenizer: of prompts and answers.
        name: what other questions are answered with.
    """

    name, ready, context_length = "parrot", True, 200_000

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._tokenizer, self._name = tokenizer, name
        self.healthy: set[str] = set()
        self.running = self.cancelled = 0
        self.prompts: list[str] = []

    async def tokens(self, ids: Sequence[int], sampling: Sampling) -> AsyncGenerator[list[Token]]:
        """Yields the answer in pieces."""
        self.prompts.append(self._tokenizer.decode(ids))
        word, number = re.findall(r"user\n(\w+) ?(\d*)", self.prompts[-1])[-1]
        text = HOSTILE[int(number)] if word == "hostile" else ANSWERS.get(word, f"{self._name}: the gate is open.")
        answer = self._tokenizer.encode(text, add_special_tokens=False)[: sampling.max_tokens]
        step, pause = (1, 0.02) if word in ANSWERS and word != "markdown" else (max(1, len(answer) // 4), 0)
        self.running += 1
        try:
            for start in range(0, len(answer), step):
                if start >= 5 and word == "fails" and word not in self.healthy:
                    raise EngineError("the process ended")
                if start >= 5 and word == "lost" and word not in self.healthy:
                    raise RuntimeError("planted: the connection breaks")
                await asyncio.sleep(pause)
                yield [Token(token, -0.5) for token in answer[start : start + step]]
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    def close(self) -> None:
        """Nothing to end."""


class ChatServer:
    """The server, what it is made of, and its address."""

    def __init__(
        self, home: Path, tokenizer: Any, *, keys: KeyFile | None = None, stored: bool = True, **limits: Any
    ) -> None:
        self.feedback = home / "feedback"
        self.engines = {alias: Parrot(tokenizer, alias) for alias in ("champion", "challenger")}
        models = {
            f"gate@{alias}": served(tokenizer, engine, version=version, name="gate")
            for version, (alias, engine) in zip("73", self.engines.items(), strict=True)
        }
        most = Limits(new_tokens=100_000, **limits)
        self.app = make_app(Models(models), most, keys=keys, feedback=FeedbackLog(self.feedback) if stored else None)
        self.address = ""


@contextmanager
def chat_server(home: Path, tokenizer: Any, **settings: Any) -> Iterator[ChatServer]:
    """Serves while the block runs."""
    server = ChatServer(home, tokenizer, **settings)
    with serving(server.app, bind("127.0.0.1", 0)) as address:
        server.address = f"{address}/"
        yield server
