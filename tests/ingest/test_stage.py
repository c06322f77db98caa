"""The ingest stage: everything accounted for, only what changed is read, a kill changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from dolly.errors import DataError, UsageError
from dolly.schema import BRONZE_EXAMPLES, BRONZE_FILES, REJECTED
from dolly.tables import Tables

pytestmark = pytest.mark.spark


def source(path: Path, file_format: str = "jsonl", **more: Any) -> dict[str, Any]:
    return {"name": "s", "path": str(path), "format": file_format} | more


def write(path: Path, *answers: str, bad: int = 0) -> None:
    rows = [json.dumps({"instruction": f"q {answer}", "output": answer}) for answer in answers]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows + ["{bad"] * bad))


def outputs(ingest: Any) -> list[str]:
    return sorted(row["output"] for row in ingest.rows(BRONZE_EXAMPLES, "s"))


def files(ingest: Any) -> dict[str, tuple[int, int]]:
    return {row["uri"]: (row["records"], row["rejected"]) for row in ingest.rows(BRONZE_FILES, "s")}


def rules(ingest: Any, dataset: str = "mine") -> list[str]:
    return sorted(row["rule"] for row in ingest.rows(REJECTED, dataset))


def test_a_folder_is_taken_in_whole_and_followed(ingest: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write(folder / "a.jsonl", "1", "2", bad=1)
    write(folder / "_hidden" / ".b c.jsonl", "3", "3")
    write(folder / "d.jsonl", "4")
    (folder / "cut.jsonl").write_bytes(b"\x1f\x8b\x08\0")
    (folder / "read me.md").write_text("x")
    printed = ingest(source(folder))
    assert "s: 8 rows in = 5 bronze + 3 rejected (+5 ~0 -0 rows, version 1)" in printed
    assert "0 files unchanged, 5 read, 0 removed" in printed
    assert "rejected: bad_json 1" in printed
    assert ingest.measured["s/rejected/wrong_kind"] == 1
    assert files(ingest) == {
        "a.jsonl": (3, 1),
        "_hidden/.b c.jsonl": (2, 0),
        "d.jsonl": (1, 0),
        "cut.jsonl": (1, 1),
        "read me.md": (1, 1),
    }
    assert outputs(ingest) == ["1", "2", "3", "3", "4"]
    bad = {row["rule"]: row for row in ingest.rows(REJECTED, "mine")}
    assert {row["reason"] is not None for row in bad.values()} == {True}
    assert (bad["bad_json"]["before"], bad["bad_json"]["position"]) == ("{bad", 2)
    assert bad["wrong_kind"]["detail"].startswith("cut.jsonl: ")
    ids = {row["record_id"]: row["arrived_at"] for row in ingest.rows(BRONZE_EXAMPLES, "s")}
    hashes = [row["content_hash"] for row in ingest.rows(BRONZE_EXAMPLES, "s")]
    assert (len(ids), len(set(hashes))) == (5, 4)

    before = ingest.versions()
    assert "5 files unchanged, 0 read, 0 removed" in ingest(source(folder))
    assert ingest.versions() == before

    write(folder / "a.jsonl", "0", "1", bad=2)
    (folder / "d.jsonl").unlink()
    write(folder / "new.jsonl", "5")
    printed = ingest(source(folder))
    assert "3 files unchanged, 2 read, 1 removed" in printed
    assert "s: 9 rows in = 5 bronze + 4 rejected" in printed
    assert outputs(ingest) == ["0", "1", "3", "3", "5"]
    assert rules(ingest) == ["bad_json", "bad_json", "unknown_kind", "wrong_kind"]
    after = {row["record_id"]: row["arrived_at"] for row in ingest.rows(BRONZE_EXAMPLES, "s")}
    assert len(after.keys() & ids.keys()) == 3
    assert all(after[key] == ids[key] for key in after.keys() & ids.keys())


@pytest.mark.slow
def test_a_kill_between_any_two_commits_is_made_good(
    ingester: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, merge = tmp_path / "data", Tables.merge

    def first() -> None:
        write(folder / "a.jsonl", "1", "2", bad=1)
        write(folder / "b.jsonl", "3")
        (folder / "c.jsonl").unlink(missing_ok=True)

    def second() -> None:
        write(folder / "a.jsonl", "2", "4", bad=2)
        (folder / "b.jsonl").unlink()
        write(folder / "c.jsonl", "5")

    class Killed(BaseException):
        pass

    def run_and_kill(ingest: Any, commits: int) -> None:
        made = 0

        def counted(*arguments: Any, **named: Any) -> Any:
            nonlocal made
            if made == commits:
                raise Killed
            made += 1
            return merge(*arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(Tables, "merge", counted)
            with pytest.raises(Killed):
                ingest(source(folder))

    first()
    ingest = ingester("killed")
    ingest(source(folder))
    begun = ingest.state("s")
    second()
    run_and_kill(ingest, 1)  # after the marks; then bronze, rejected, and last bronze_files
    run_and_kill(ingest, 3)
    first()  # back as it was: the run must notice what the killed ones wrote
    ingest(source(folder))
    assert ingest.state("s") == begun
    second()
    run_and_kill(ingest, 2)
    ingest(source(folder))
    fresh = ingester("fresh")
    fresh(source(folder))
    assert ingest.state("s") == fresh.state("s")


def test_new_files_rows_do_not_outlive_a_killed_run(
    ingester: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ingest, merge = tmp_path / "data", ingester("home"), Tables.merge
    write(folder / "a.jsonl", "1")
    ingest(source(folder))
    write(folder / "b.jsonl", "2")

    def only_bronze(tables: Tables, frame: Any, table: Any, **named: Any) -> Any:
        if table is not BRONZE_EXAMPLES:
            raise KeyboardInterrupt
        return merge(tables, frame, table, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Tables, "merge", only_bronze)
        with pytest.raises(KeyboardInterrupt):
            ingest(source(folder))
    assert outputs(ingest) == ["1", "2"]
    (folder / "b.jsonl").unlink()
    ingest(source(folder))
    assert (outputs(ingest), files(ingest)) == (["1"], {"a.jsonl": (1, 0)})


def test_each_data_set_has_the_rejected_rows_of_its_sources(ingest: Any, tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    write(path, "1", bad=2)
    ingest(source(path), name="one")
    assert "3 rows in = 1 bronze + 2 rejected (+1 ~0 -0" in ingest(source(path), name="two")
    assert rules(ingest, "one") == rules(ingest, "two") == ["bad_json", "bad_json"]
    write(path, "2", bad=2)
    ingest(source(path), name="one")
    ingest(source(path), name="two")
    two = ingest.rows(REJECTED, "two")
    assert {row["example_id"] for row in two} == {row["example_id"] for row in ingest.rows(REJECTED, "one")}
    other = tmp_path / "other.jsonl"
    write(other, "3")
    ingest(source(other) | {"name": "t"}, name="two")
    assert rules(ingest, "two") == []
    assert rules(ingest, "one") == ["bad_json", "bad_json"]


def test_moving_one_file_changes_no_id_and_other_settings_read_it_again(ingest: Any, tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    write(path, "1", "2", bad=1)
    ingest(source(path))
    before = ingest.rows(BRONZE_EXAMPLES, "s")
    moved = tmp_path / "elsewhere" / "g.jsonl"
    moved.parent.mkdir()
    path.rename(moved)
    ingest(source(moved, visibility="public", columns={"instruction": "output"}))
    after = ingest.rows(BRONZE_EXAMPLES, "s")
    assert {row["record_id"] for row in after} == {row["record_id"] for row in before}
    assert {(row["uri"], row["visibility"]) for row in after} == {("g.jsonl", "public")}
    assert {row["instruction"] for row in after} == {"1", "2"}
    assert files(ingest) == {"g.jsonl": (3, 1)}
    assert len(rules(ingest)) == 1


def test_each_format_gives_the_same_fields(ingest: Any, tmp_path: Path) -> None:
    rows = [{"instruction": "höher?", "output": "a, b"}, {"instruction": "東京", "output": "line\nend"}]
    texts = {
        "json": json.dumps(rows),
        "jsonl": "\n".join(json.dumps(row) for row in rows),
        "csv": 'instruction,output\nhöher?,"a, b"\n東京,"line\nend"\n',
        "tsv": 'instruction\toutput\nhöher?\ta, b\n東京\t"line\nend"\n',
    }
    for file_format, text in texts.items():
        (tmp_path / f"f.{file_format}").write_text(text, "utf-16" if file_format == "csv" else "utf-8")
    book = openpyxl.Workbook()
    for row in (["instruction", "output"], *[list(row.values()) for row in rows]):
        book.active.append(row)
    book.save(tmp_path / "f.xlsx")
    formats = [*texts, "xlsx"]
    ingest(*[source(tmp_path / f"f.{one}", one) | {"name": one} for one in formats])
    found = [
        sorted((row["position"], row["instruction"], row["output"], row["content_hash"]) for row in rows)
        for rows in (ingest.rows(BRONZE_EXAMPLES, one) for one in formats)
    ]
    assert [row[:3] for row in found[0]] == [(0, "höher?", "a, b"), (1, "東京", "line\nend")]
    assert found == [found[0]] * 5


def test_conversations_and_instances(ingest: Any, tmp_path: Path) -> None:
    chat, tasks = tmp_path / "chat.json", tmp_path / "tasks.jsonl"
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]
    chat.write_text(json.dumps([{"talk": turns}, {"talk": [{"from": "crowd", "value": "!"}]}]))
    two = [{"input": "1", "output": "one"}, {"input": "2", "output": "two"}]
    tasks.write_text(json.dumps({"instruction": "Write.", "instances": two}))
    ingest(
        source(chat, "json", columns={"turns": "talk"}),
        source(tasks, columns={"instances": "instances"}) | {"name": "t"},
    )
    (row,) = ingest.rows(BRONZE_EXAMPLES, "s")
    assert row["turns"] == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    assert (row["instruction"], row["input"], row["output"]) == ("", "", "")
    assert rules(ingest) == ["unknown_role"]
    both = ingest.rows(BRONZE_EXAMPLES, "t")
    assert {(row["position"], row["input"], row["output"], row["turns"]) for row in both} == {
        (0, "1", "one", None),
        (0, "2", "two", None),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a.jsonl": "{bad\n{bad\n"}, r"none of 2 records can be used, 2 of them by bad_json; a\.jsonl: "),
        ({"a.txt": "x"}, r"its name ends in \.txt.*expected files whose names end as those of format jsonl"),
        ({}, r"no file .*source s"),
    ],
)
def test_a_source_without_a_good_record_stops_the_run_and_writes_nothing(
    ingest: Any, tmp_path: Path, content: dict[str, str], message: str
) -> None:
    good, folder = tmp_path / "good.jsonl", tmp_path / "data"
    write(good, "1")
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=message):
        ingest(source(good) | {"name": "good"}, source(folder))
    assert ingest.versions() == {}


def test_limits_of_files_and_records(ingest: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write(folder / "a.jsonl", "1", "2" * 3_000)
    write(folder / "b.jsonl", "3" * (2 << 20))
    ingest(source(folder), ingest={"max_record_characters": 2_000, "max_file_megabytes": 1})
    assert outputs(ingest) == ["1"]
    bad = {row["rule"]: row for row in ingest.rows(REJECTED, "mine")}
    assert set(bad) == {"record_too_large", "file_too_large"}
    assert len(bad["record_too_large"]["before"]) <= 2_000


def test_a_remote_folder_is_taken_in_whole(ingest: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data [1] %20"
    write(folder / "sub" / "a b*.jsonl", "1", bad=1)
    write(folder / "c.jsonl", "2")
    write(folder / "d.txt", "3")
    remote = source(folder) | {"path": f"file://{tmp_path}/data ?1? %20"}
    assert "4 rows in = 2 bronze + 2 rejected" in ingest(remote)
    assert outputs(ingest) == ["1", "2"]
    assert "3 files unchanged, 0 read" in ingest(remote)


def test_a_hub_needs_the_networks_permission(ingest: Any) -> None:
    with pytest.raises(UsageError, match="allow_network: true"):
        ingest({"name": "s", "path": "org/name", "format": "hub"})
