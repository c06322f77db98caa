from __future__ import annotations

from pathlib import Path

import pytest

from dolly import java

ANSWERS = {
    8: 'openjdk version "1.8.0_292"',
    11: 'openjdk version "11.0.2" 2019-01-15',
    17: 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "17.0.9" 2023-10-17',
    21: 'openjdk version "21" 2023-09-19',
}


def install(home: Path, version: int) -> Path:
    return install_script(home, f"echo '{ANSWERS[version]}' >&2")


def install_script(home: Path, script: str) -> Path:
    binary = home / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setattr(java, "_USUAL_FOLDERS", (str(tmp_path / "jvm" / "*"),))


@pytest.mark.parametrize(("installed", "major"), [(8, 1), (11, 11), (17, 17), (21, 21)])
def test_the_version_is_read_from_what_java_says(tmp_path: Path, installed: int, major: int) -> None:
    assert java.version(install(tmp_path / "home", installed)) == major


@pytest.mark.parametrize("script", ["exit 1", "echo no version here >&2", "true"])
def test_a_java_that_does_not_run_has_no_version(tmp_path: Path, script: str) -> None:
    assert java.version(install_script(tmp_path / "home", script)) is None
    assert java.version(tmp_path / "absent") is None


def test_without_java_none_is_found() -> None:
    assert java.find_java() is None


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = install(tmp_path / "chosen", 17)
    install(tmp_path / "path", 21)
    install(tmp_path / "jvm" / "java-21", 21)
    monkeypatch.setenv("JAVA_HOME", str(chosen))
    assert java.find_java() == chosen


@pytest.mark.parametrize("too_old", [8, 11])
def test_one_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_old: int) -> None:
    monkeypatch.setenv("JAVA_HOME", str(install(tmp_path / "chosen", too_old)))
    install(tmp_path / "path", too_old)
    new_enough = install(tmp_path / "jvm" / "java-17", 17)
    assert java.find_java() == new_enough


def test_only_old_ones_are_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(install(tmp_path / "chosen", 11)))
    install(tmp_path / "jvm" / "java-8", 8)
    assert java.find_java() is None


def test_a_java_home_without_java_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "absent"))
    assert java.find_java() is None
    on_path = install(tmp_path / "path", 17)
    assert java.find_java() == on_path.resolve()


def test_a_link_on_the_path_leads_to_its_home(tmp_path: Path) -> None:
    home = install(tmp_path / "real" / "java-21", 21)
    link = tmp_path / "path" / "bin" / "java"
    link.parent.mkdir(parents=True)
    link.symlink_to(home / "bin" / "java")
    assert java.find_java() == home.resolve()


def test_the_advice_names_what_to_install_and_java_home() -> None:
    assert str(java.MINIMUM) in java.ADVICE
    assert "JAVA_HOME" in java.ADVICE
