"""Each config key, command and make target that a message, a docstring or a document names exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
import typer.main
from pydantic import BaseModel

from dolly.cli import app
from dolly.config import Config

ROOT = Path(__file__).parent.parent
CODE = sorted([*(ROOT / "dolly").rglob("*.py"), *(ROOT / "jobs").glob("*.py")])
TEXTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "conf").glob("*.yaml")])
COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
# Words that follow "dolly" in a sentence.
PROSE = {"knows", "renders", "that", "what", "with"}
# What looks like a key and is a file, a module or a property of Spark's own with one part.
NOT_KEYS = {"spark.jars", "spark.log"}
_SUFFIXES = {"py", "json", "jsonl", "yaml", "md", "safetensors", "html", "csv", "pdf", "log", "key"}


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections in a field's type, as in `tuple[Source, ...]` or `Jdbc | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (tuple, list, Union, UnionType):
        for argument in get_args(annotation):
            yield from models(argument)


def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def sections() -> dict[str, list[type[BaseModel]]]:
    """Name of a section at any depth → its models."""
    found: dict[str, list[type[BaseModel]]] = {}
    waiting: list[type[BaseModel]] = [Config]
    while waiting:
        for name, annotation in keys_of(waiting.pop()).items():
            for model in models(annotation):
                found.setdefault(name, []).append(model)
                waiting.append(model)
    return found


SECTIONS = sections()
KEY = re.compile(rf"(?<![\w./@-])({'|'.join(sorted(SECTIONS))})((?:\.\w+)+)")


def names_in_modules() -> set[str]:
    """`module.function` and `package.module`, as docstrings write them."""
    found = set()
    for path in CODE:
        found.add(f"{path.parent.name}.{path.stem}")
        tree = ast.parse(path.read_text())
        found |= {f"{path.stem}.{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return found


IN_MODULES = names_in_modules()


def exists(model: type[BaseModel], path: list[str]) -> bool:
    annotation = keys_of(model).get(path[0])
    if annotation is None:
        return False
    deeper = list(models(annotation))
    return len(path) == 1 or not deeper or any(exists(one, path[1:]) for one in deeper)


def unknown_keys(text: str) -> list[str]:
    unknown = []
    for match in KEY.finditer(text):
        section, path = match[1], [part for part in match[2].split(".")[1:] if not part.isdigit()]
        a_spark_property = section == "spark" and len(path) > 1
        in_a_module = text[: match.start()].endswith("`") and match[0] in IN_MODULES
        if a_spark_property or in_a_module or path[-1] in _SUFFIXES or match[0] in NOT_KEYS:
            continue
        if not any(exists(model, path) for model in SECTIONS[section]):
            unknown.append(match[0])
    return unknown


def unknown_commands(text: str) -> list[str]:
    named = re.findall(r"(?<![\w./\[-])dolly ([a-z]+)\b", text)
    targets = re.findall(r"(?:[Rr]un |`)make ([a-z-]+)\b", text)
    return [f"dolly {word}" for word in named if word not in COMMANDS | PROSE] + [
        f"make {word}" for word in targets if word not in TARGETS
    ]


def literals(path: Path) -> list[str]:
    """The string constants of a module: messages, docstrings and their like."""
    tree = ast.parse(path.read_text())
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_what_does_not_exist_is_seen() -> None:
    assert unknown_keys("set train.packing, train.lora.rang or jdbc.pasword; see train.epochs") == [
        "train.packing",
        "train.lora.rang",
        "jdbc.pasword",
    ]
    assert not unknown_keys("spark.driver.memory, spark.master, prepare.mix.weights.faq, dolly.train.stage, ingest.py")
    assert unknown_commands("run dolly trace ID or `make tests`") == ["dolly trace", "make tests"]
    assert not unknown_commands("this version of dolly knows what dolly run does; run make setup")


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_in_code(path: Path) -> None:
    for text in literals(path):
        assert unknown_keys(text) + unknown_commands(text) == [], text


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_in_documents(path: Path) -> None:
    text = path.read_text()
    assert unknown_keys(text) + unknown_commands(text) == []
