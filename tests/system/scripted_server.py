"""`dolly serve` whose engine needs no weights: it says which version it is of, slowly enough to be killed meanwhile.

python -m tests.system.scripted_server serve CONFIG [key=value]...
"""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any
from unittest import mock


def open_engine(model: Any, **_: Any) -> Any:
    """Stands for the engine of a registered version; the rest of the server is the real one."""
    from dolly.base_model import load_tokenizer
    from tests.serve.scripted import ScriptedEngine

    ids = load_tokenizer(str(model.tokenizer)).encode(f"Version {model.version} says: gate 4 is open. " * 2)
    return ScriptedEngine(lambda _: ids, pause=0.02, context_length=400)


def load_transformers_without_torch() -> None:
    """Loads what reads tokenizers and configs; with torch it takes three times as long."""
    find = importlib.util.find_spec
    sys.modules["torch"] = None  # type: ignore[assignment]
    with mock.patch("importlib.util.find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest)):
        from transformers import AutoConfig, AutoTokenizer  # noqa: F401
    del sys.modules["torch"]


if __name__ == "__main__":
    stub: Any = types.ModuleType("dolly.engines.choose")
    stub.open_engine = open_engine
    sys.modules[stub.__name__] = stub  # the real one imports torch
    load_transformers_without_torch()
    from dolly.cli import main

    sys.exit(main())
