"""Reads a config: YAML, `${NAME:-default}` from the environment, key=value overrides.

All errors are reported at once, each with its key and, for an unknown key, the most similar known key.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from dolly.config import Config
from dolly.config_paths import from_shell, project_of, rebase
from dolly.config_secrets import secret_faults
from dolly.errors import ConfigError, UsageError
from dolly.secrets import without_secrets

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)(?::-(?P<default>[^}]*))?\}")


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses duplicate keys, of which the later would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if doubled := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise yaml.MarkedYAMLError(f"{', '.join(doubled)}: given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def load_config(path: str | Path, overrides: list[str] | None = None) -> Config:
    """Loads and validates a config.

    Args:
        path: the YAML file.
        overrides: `key=value` strings; keys are dotted (`train.epochs`, `sources.0.path`),
            values are YAML. Relative paths are resolved by `config_paths`.

    Raises:
        UsageError: there is no such file, or an override is not key=value.
        ConfigError: the config is invalid; lists all errors.
    """
    text = _read(Path(path))
    try:
        raw = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(source=str(path), faults=[_yaml_fault(error)]) from None
    if not isinstance(raw, dict):
        raise ConfigError(source=str(path), faults=[f"a {type(raw).__name__}, not a mapping of keys"])
    for override in overrides or []:
        _apply(raw, override)
    faults: list[str] = []
    used = _interpolate(raw, faults)
    faults += secret_faults(raw, used)
    rebase(used, project_of(Path(path)))
    try:
        config = Config.model_validate(used)
    except ValidationError as error:
        errors = error.errors()
        # Pydantic also reports a list with invalid items as too short.
        faults += [_fault(item) for item in errors if not (item["type"] == "too_short" and item["input"])]
        raise ConfigError(source=str(path), faults=faults) from error
    if faults:
        raise ConfigError(source=str(path), faults=faults)
    return config


def json_schema() -> str:
    """The JSON schema that editors use to check and complete conf/*.yaml."""
    return json.dumps(Config.model_json_schema(by_alias=True), indent=2) + "\n"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        configs = sorted(str(p) for p in Path("conf").glob("*.yaml"))
        raise UsageError(
            found=f"no file {path}",
            expected="a config in YAML",
            fix=f"name one, e.g. {', '.join(configs) or 'conf/demo.yaml'}",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            found=f"{path} can't be read ({error})", expected="a UTF-8 YAML file", fix="check path and encoding"
        ) from error


def _apply(raw: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise UsageError(found=f"the argument {override!r}", expected="key=value", fix="write e.g. train.epochs=2")
    node: Any = raw
    *parents, last = key.strip().split(".")
    try:
        for name in parents:
            node = node[int(name)] if isinstance(node, list) else node.setdefault(name, {})
        parsed = from_shell(key.strip(), yaml.safe_load(value))
        if isinstance(node, list):
            node[int(last)] = parsed
        else:
            node[last] = parsed
    except (ValueError, IndexError, AttributeError, TypeError, yaml.YAMLError) as error:
        raise UsageError(
            found=f"the override {override!r}, which does not fit the config ({error})",
            expected="dotted keys, list positions as numbers, a YAML value",
            fix="write e.g. sources.0.path=file.json",
        ) from error


def _interpolate(node: Any, faults: list[str]) -> Any:
    """Replaces `${NAME:-default}`; a variable without value and default is a fault."""
    if isinstance(node, dict):
        return {key: _interpolate(value, faults) for key, value in node.items()}
    if isinstance(node, list):
        return [_interpolate(value, faults) for value in node]
    if not isinstance(node, str):
        return node

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match["name"]) or match["default"]
        if value is None:
            faults.append(f"{match[0]}: the environment variable {match['name']} is not set")
        return value or ""

    return _VARIABLE.sub(value_of, node)


def _yaml_fault(error: yaml.YAMLError) -> str:
    """The error and its position, without the lines of the file, which may contain a secret."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    texts = [text for text in (error.context, error.problem) if text]
    mark = error.problem_mark or error.context_mark
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return ": ".join(texts) + where


def _fault(item: Any) -> str:
    """One line for one validation error of pydantic."""
    location = [str(part) for part in item["loc"]]
    key = ".".join(location)
    if item["type"] == "extra_forbidden":
        names = _known_keys(item["loc"][:-1])
        near = difflib.get_close_matches(location[-1], names, n=1, cutoff=0)
        return f"{key}: unknown key (nearest known: {'.'.join([*location[:-1], *near])})"
    if item["type"] == "missing":
        return f"{key}: missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    if not key:
        return message
    received = without_secrets(item["input"], location[-1])
    return f"{key}: {message}" + ("" if item["type"] == "value_error" else f", found {received!r}")


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """The keys of the section at `location`."""
    section: type[BaseModel] = Config
    for part in location:
        if isinstance(part, int):
            continue
        field = next((f for name, f in section.model_fields.items() if part in (name, f.alias)), None)
        candidate = field.annotation if field else None
        inner = getattr(candidate, "__args__", [candidate])[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            section = inner
    return [f.alias or name for name, f in section.model_fields.items()]
