from __future__ import annotations

import pickle
import re
import stat
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from dolly.clean.privacy.detector import Detector
from dolly.clean.privacy.key import load_or_create_key
from dolly.clean.privacy.pseudonyms import Pseudonyms, mask
from dolly.clean.privacy.span import Span
from dolly.errors import DollyError, UsageError

KEY = bytes(range(32))
DETECTOR = Detector(names=["Jane Doe", "Jürgen Groß"])


def normals(text: str) -> list[str]:
    return [span.normal for span in DETECTOR.spans(text)]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("John.Doe@Example.COM", "john.doe@example.com"),
        ("john (at) example [dot] com", "john@example.com"),
        ("(415) 555-0132", "+14155550132"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("0044 20 7946 0958", "+442079460958"),
        ("tel. 06 12 34 56 78", "+33612345678"),
        ("de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("4111-1111-1111-1111", "4111111111111111"),
        ("SSN 536-90-4399", "536904399"),
        ("2001:0DB8::0001", "2001:db8::1"),
        ("DOE,  jane", "jane doe"),
        ("JÜRGEN GROSS", "jürgen gross"),
        ("password: Hunter2", "Hunter2"),
    ],
)
def test_spellings_have_one_canonical_form(text: str, normal: str) -> None:
    assert normals(text) == [normal]


def test_an_indian_number_keeps_its_country_without_the_zero() -> None:
    assert normals("mobile 98200 12345") == normals("+91 98200 12345") == ["+919820012345"]


@pytest.mark.parametrize(
    "text",
    [
        "1 " * 20_000,
        "12 " * 10_000,
        "0" * 40_000,
        "800-1234567-" * 2_000,
        "a" * 40_000 + "@",
        "a@" * 10_000,
        "a." * 10_000 + "@b",
        "password " * 3_000,
        "password: " + "x" * 10_000 + "!",
        "x-" * 10_000,
        "::" * 10_000,
        "1.2.3.4 " * 5_000,
        "DE89 " * 5_000,
        "A" * 20_000,
        "(" * 20_000,
        "eyJ" * 10_000,
        " at dot" * 3_000,
        "ssn " * 3_000 + "1234",
        "-----BEGIN PRIVATE KEY-----" * 500,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_forever(text: str) -> None:
    start = time.process_time()
    DETECTOR.spans(text)
    assert time.process_time() - start < 3


def test_pseudonyms_name_the_kind_and_hide_the_value() -> None:
    name = Pseudonyms(KEY).of(Span(0, 10, "EMAIL", "jane@x.com"))
    assert re.fullmatch(r"\[EMAIL_[0-9a-f]{8}\]", name)


def test_same_thing_and_key_have_the_same_pseudonym_anywhere() -> None:
    here = Pseudonyms(KEY).of(Span(0, 10, "EMAIL", "jane@x.com"))
    there = pickle.loads(pickle.dumps(Pseudonyms(KEY))).of(Span(70, 80, "EMAIL", "jane@x.com"))
    assert here == there
    assert here == "[EMAIL_" + here[7:15] + "]"


@pytest.mark.parametrize(
    ("key", "kind", "normal"),
    [(KEY, "EMAIL", "john@x.com"), (KEY, "PERSON", "jane@x.com"), (bytes(32), "EMAIL", "jane@x.com")],
)
def test_other_value_kind_or_key_has_another_pseudonym(key: bytes, kind: str, normal: str) -> None:
    other = Pseudonyms(key).of(Span(0, 1, kind, normal))
    assert other.split("_")[-1] != Pseudonyms(KEY).of(Span(0, 1, "EMAIL", "jane@x.com")).split("_")[-1]


def test_the_key_is_never_shown() -> None:
    pseudonyms = Pseudonyms(KEY)
    for shown in (repr(pseudonyms), str(pseudonyms), f"{pseudonyms}"):
        assert KEY.hex() not in shown
        assert repr(KEY) not in shown
    with pytest.raises(UsageError) as error:
        Pseudonyms(b"short-secret")
    assert "short-secret" not in str(error.value)


def test_mask_replaces_each_spelling_by_the_same_name() -> None:
    detector = Detector(names=["Jane Doe"])
    text = "Jane Doe (jane@x.com, +1 415 555 0132) wrote; Doe, Jane: JANE@X.COM or (415) 555-0132."
    masked, kinds, _ = mask(text, detector, Pseudonyms(KEY))
    assert kinds == ["PERSON", "EMAIL", "PHONE", "PERSON", "EMAIL", "PHONE"]
    names = re.findall(r"\[[A-Z]+_[0-9a-f]{8}\]", masked)
    assert names[:3] == names[3:]
    assert len(set(names)) == 3
    assert re.sub(r"\[([A-Z]+)_[0-9a-f]{8}\]", r"\1", masked) == "PERSON (EMAIL, PHONE) wrote; PERSON: EMAIL or PHONE."


def test_mask_leaves_text_without_a_hit() -> None:
    assert mask("Nothing here.", Detector(), Pseudonyms(KEY)) == ("Nothing here.", [], {})
    assert mask("", Detector(), Pseudonyms(KEY)) == ("", [], {})


def test_what_a_replacement_uncovers_is_replaced_in_the_same_call() -> None:
    # The long address keeps "phone" out of the number's reach until it is replaced.
    text = "phone of maximilian.van.der.hohenstaufen@example.com 5558675309"
    once = mask(text, Detector(), Pseudonyms(KEY)).text
    assert mask(once, Detector(), Pseudonyms(KEY)) == (once, [], {})


def test_surrogates_from_broken_files_do_not_stop_the_job() -> None:
    masked, kinds, _ = mask("\ud800 jane@x.com password: a\udcff1!bc", Detector(), Pseudonyms(KEY))
    assert kinds == ["EMAIL", "SECRET"]
    assert masked.startswith("\ud800 [EMAIL_")


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "privacy.key"
    key = load_or_create_key(path)
    assert len(key) == 32
    assert path.read_text().strip() == key.hex()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key(path) == key
    assert [entry.name for entry in path.parent.iterdir()] == ["privacy.key"]


def test_two_processes_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    path = tmp_path / "privacy.key"
    with ProcessPoolExecutor(4) as pool:
        keys = set(pool.map(load_or_create_key, [path] * 16))
    assert keys == {load_or_create_key(path)}
    assert [entry.name for entry in tmp_path.iterdir()] == ["privacy.key"]


@pytest.mark.parametrize("content", ["", "abcd", "zz" * 32, "ab" * 33, "caf\u00e9" * 16])
def test_a_damaged_key_is_refused_without_being_quoted(tmp_path: Path, content: str) -> None:
    path = tmp_path / "privacy.key"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(DollyError, match="damaged") as error:
        load_or_create_key(path)
    assert not content or content not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__context__ is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "privacy.key"
    key = load_or_create_key(path)
    path.chmod(mode)
    with pytest.raises(DollyError, match="open to others") as error:
        load_or_create_key(path)
    assert key.hex() not in str(error.value)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DollyError, match="can't be written"):
        load_or_create_key(tmp_path / "file" / "privacy.key")


def test_a_folder_in_place_of_the_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "privacy.key").mkdir()
    with pytest.raises(DollyError, match="can't be read"):
        load_or_create_key(tmp_path / "privacy.key")
