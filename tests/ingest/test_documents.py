"""Documents of all kinds, good and bad, each with a row."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from dolly.errors import DataError
from dolly.schema import BRONZE_DOCUMENTS, BRONZE_EXAMPLES, BRONZE_FILES, REJECTED

pytestmark = pytest.mark.spark


def source(path: Path, **more: Any) -> dict[str, Any]:
    return {"name": "s", "path": str(path), "format": "documents"} | more


def test_a_folder_of_documents_is_taken_in_and_followed(ingest: Any, tmp_path: Path) -> None:
    folder = tmp_path / "handbook"
    (folder / "sub dir").mkdir(parents=True)
    (folder / "a.md").write_text("# Gate\n\nThe code is 7140K.\n")
    (folder / "sub dir" / "_b é.html").write_text("<html><title>B</title><body><p>Text of B</p></body></html>")
    (folder / "c.txt").write_text("Plain words.\n")
    (folder / "empty.md").write_text("")
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    with zipfile.ZipFile(folder / "bomb.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * 50_000_000)
    printed = ingest(source(folder))
    assert "s: 7 files in = 3 bronze + 4 rejected" in printed
    documents = {row["uri"]: row for row in ingest.rows(BRONZE_DOCUMENTS, "s")}
    assert set(documents) == {"a.md", "sub dir/_b é.html", "c.txt"}
    assert documents["a.md"]["title"] == "Gate"
    assert "7140K" in documents["a.md"]["text"]
    assert documents["sub dir/_b é.html"]["visibility"] == "private"
    rejected = ingest.rows(REJECTED, "mine")
    assert {row["detail"].split(": ")[0] for row in rejected} == {"empty.md", "bad.pdf", "picture.png", "bomb.docx"}
    assert all(row["reason"] and row["position"] == -1 for row in rejected)
    assert len(ingest.rows(BRONZE_FILES, "s")) == 7
    before = ingest.versions()
    ingest(source(folder))
    assert ingest.versions() == before

    (folder / "a.md").write_text("# Gate\n\nThe code is 7141K.\n")
    (folder / "c.txt").unlink()
    (folder / "empty.md").write_text("Filled.")
    assert "4 files unchanged, 2 read, 1 removed" in ingest(source(folder))
    after = {row["uri"]: row for row in ingest.rows(BRONZE_DOCUMENTS, "s")}
    assert set(after) == {"a.md", "sub dir/_b é.html", "empty.md"}
    assert after["a.md"]["document_id"] == documents["a.md"]["document_id"]
    assert "7141K" in after["a.md"]["text"]
    assert len(ingest.rows(REJECTED, "mine")) == 3


def test_one_document_and_a_source_that_changes_its_kind(ingest: Any, tmp_path: Path) -> None:
    path = tmp_path / "faq.md"
    path.write_text("# Questions\n\nNone.\n")
    assert "s: 1 files in = 1 bronze" in ingest(source(path))
    with pytest.raises(DataError, match="19 characters; at most 3 are kept"):
        ingest(source(path), ingest={"max_document_characters": 3})
    table = tmp_path / "faq.csv"
    table.write_text("instruction,output\nq,a\n")
    ingest(source(table, format="csv"))
    assert (len(ingest.rows(BRONZE_EXAMPLES, "s")), ingest.rows(BRONZE_DOCUMENTS, "s")) == (1, [])
    assert [row["uri"] for row in ingest.rows(BRONZE_FILES, "s")] == ["faq.csv"]
