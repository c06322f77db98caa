"""The README's commands, files and tree are those of the project."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from dolly.cli import app
from dolly.config_file import load_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def console_lines() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("line", [line for line in console_lines() if line.startswith("make ")])
def test_make_targets_exist(line: str) -> None:
    assert line.split()[1] in targets()


@pytest.mark.parametrize(
    "line", [line for line in console_lines() if "dolly " in line.split("#")[0].split("mlflow")[0]]
)
def test_commands_parse_as_the_command_line_takes_them(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[0].removeprefix(".venv/bin/") == "dolly"
    group = typer.main.get_command(app)
    context = group.make_context("dolly", words[1:], resilient_parsing=False)
    command = group.commands[words[1]]  # type: ignore[attr-defined]
    command.make_context(words[1], words[2:], parent=context)
    if (config := next((word for word in words if word.endswith(".yaml")), None)) is not None:
        overrides = [word for word in words if re.match(r"[a-z_.]+=", word)]
        load_config(ROOT / config, overrides)


def test_each_config_is_described() -> None:
    there = {f"conf/{path.name}" for path in (ROOT / "conf").glob("*.yaml")}
    assert there == set(re.findall(r"^\| `(conf/[a-z_]+\.yaml)`", README, re.MULTILINE))


def test_the_tree_names_each_module() -> None:
    tree = README.split("## The tree")[1]
    for path in (ROOT / "dolly").iterdir():
        if path.name.startswith("__") or path.suffix not in ("", ".py"):
            continue
        name = path.name if path.suffix else f"{path.name}/"
        assert name in tree, name


def test_the_files_that_are_linked_exist() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
