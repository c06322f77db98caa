from __future__ import annotations

import pytest

from dolly.errors import ConfigError, DataError, DollyError, TrainingStopped, UsageError


def kinds(base: type[DollyError]) -> list[type[DollyError]]:
    return [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]


PLAIN = [kind for kind in kinds(DollyError) if kind is not ConfigError]


@pytest.mark.parametrize("kind", PLAIN)
def test_an_error_says_what_is_there_what_should_be_and_what_to_do(kind: type[DollyError]) -> None:
    message = str(kind(found="no file a.csv", expected="the source's file", fix="put it there"))
    for part in ("no file a.csv", "the source's file", "put it there"):
        assert part in message
    assert message.index("no file a.csv") < message.index("the source's file") < message.index("put it there")


@pytest.mark.parametrize("part", ["found", "expected", "fix"])
def test_a_message_is_one_line_whatever_is_in_it(part: str) -> None:
    parts = {"found": "this", "expected": "that", "fix": "so"} | {part: "one\n  two\r\nthree"}
    message = str(DataError(**parts))
    assert len(message.splitlines()) == 1
    for word in ("one", "two", "three"):
        assert word in message


@pytest.mark.parametrize("kind", kinds(DollyError))
def test_a_wrong_request_exits_with_2_and_failed_work_with_1_or_75_if_it_can_go_on(kind: type[DollyError]) -> None:
    assert kind.exit_code == (75 if kind is TrainingStopped else 2 if issubclass(kind, UsageError) else 1)


@pytest.mark.parametrize(
    ("faults", "count"), [(["a: missing"], "1 fault "), (["a: missing", "b: missing"], "2 faults ")]
)
def test_a_config_error_names_its_file_and_all_faults(faults: list[str], count: str) -> None:
    error = ConfigError(source="conf/x.yaml", faults=faults)
    assert error.faults == faults
    for part in (count, "conf/x.yaml", *faults):
        assert part in str(error)
    assert len(str(error).splitlines()) == 1
