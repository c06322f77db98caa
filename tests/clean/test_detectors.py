from __future__ import annotations

import pickle
import re
import time
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dolly.clean.privacy.candidate import CANDIDATE
from dolly.clean.privacy.detector import Detector
from dolly.clean.privacy.pseudonyms import Pseudonyms, mask
from dolly.clean.privacy.span import KINDS
from dolly.errors import UsageError

NAMES = ["Jane Doe", "Jürgen Groß", "Ana María López", "Sinéad O'Connor", "Jean-Luc Picard", "Maria Schmidt"]
DETECTOR = Detector(names=NAMES)

# ⟦KIND:text⟧ is to be found, nothing else; ~ is a line break. The ¦ in made-up tokens is taken out:
# without it, scanners of repositories would take them for real ones.
FOUND = r"""
Write to ⟦EMAIL:John.Doe+tag@Sub.Example.co.uk⟧. Then wait.
<⟦EMAIL:john@x.com⟧>, 'mailto:⟦EMAIL:j@x.co⟧?cc=⟦EMAIL:z@x.co⟧', ⟦EMAIL:a.b@c.io⟧;⟦EMAIL:d@e.io⟧,**⟦EMAIL:f@g.de⟧**
⟦EMAIL:"john doe"@example.com⟧ ⟦EMAIL:o'brien@example.ie⟧ ⟦EMAIL:müller@bücher.de⟧ ⟦EMAIL:j.d@[192.168.1.1]⟧
⟦EMAIL:john [at] example [dot] com⟧, ⟦EMAIL:jane.doe(at)example.com⟧, ⟦EMAIL:joe AT example DOT com⟧
?to=⟦EMAIL:john%40example.com⟧&x=1 ⟦EMAIL:ann&#64;example.com⟧ e-mail: ⟦EMAIL:john @ example.com⟧
Call ⟦PHONE:+1 (415) 555-0132 ext. 204⟧ or ⟦PHONE:415-555-0133⟧, ⟦PHONE:(555) 123-4567⟧, ⟦PHONE:202.555.0144⟧.
Tel. ⟦PHONE:030/901820-12⟧ / ⟦PHONE:0151 23456789⟧, Fax ⟦PHONE:+49 (0) 30 901820⟧, ⟦PHONE:0049 171 2345678⟧
⟦PHONE:06 12 34 56 78⟧ ⟦PHONE:+33 (0)1 42 68 53 00⟧, ⟦PHONE:020 7946 0958⟧, ⟦PHONE:07911 123456⟧ (mobile)
mobile: ⟦PHONE:9876543210⟧ or ⟦PHONE:98200 12345⟧; WhatsApp ⟦PHONE:(11) 98765-4321⟧; ⟦PHONE:+7 (495) 123-45-67⟧
phone 555: ⟦PHONE:555-0142⟧, T: ⟦PHONE:030 1234567⟧, ⟦PHONE:1-800-FLOWERS⟧, wa.me/⟦PHONE:14155550132⟧
"phone_number": "⟦PHONE:+15558675309⟧", phone=⟦PHONE:5558675309⟧, ⟦PHONE:0412 345 678⟧, tlf. ⟦PHONE:22 12 34 56⟧
IBAN ⟦IBAN:DE89 3704 0044 0532 0130 00⟧ BIC COBADEFF,
⟦IBAN:GB29NWBK60161331926819⟧, ⟦IBAN:fr1420041010050500013m02606⟧
⟦IBAN:CH93-0076-2011-6238-5295-7⟧ (⟦IBAN:NO93 8601 1117 947⟧) ⟦IBAN:MT84MALT011000012345MTLCAST001S⟧.
⟦CARD:4111 1111 1111 1111⟧, ⟦CARD:5500-0000-0000-0004⟧, amex ⟦CARD:3782 822463 10005⟧, ⟦CARD:30569309025904⟧ exp 12/27
SSN ⟦NATIONAL_ID:536-90-4399⟧, social security number is ⟦NATIONAL_ID:078051120⟧; ITIN: ⟦NATIONAL_ID:912-90-3456⟧
NINO ⟦NATIONAL_ID:AB 12 34 56 C⟧, NHS number ⟦NATIONAL_ID:943 476 5870⟧, UTR ⟦NATIONAL_ID:1955839661⟧
Steuer-ID: ⟦NATIONAL_ID:36 574 261 809⟧, Steueridentifikationsnummer ⟦NATIONAL_ID:36574261809⟧
NIR ⟦NATIONAL_ID:2 95 10 99 126 111 93⟧, codice fiscale ⟦NATIONAL_ID:RCCMNL83S18D969H⟧
DNI ⟦NATIONAL_ID:54362315-K⟧, NIE ⟦NATIONAL_ID:X-2482300W⟧,
BSN ⟦NATIONAL_ID:111222333⟧, PESEL ⟦NATIONAL_ID:44051401359⟧
personnummer ⟦NATIONAL_ID:8803200016⟧ = ⟦NATIONAL_ID:880320-0016⟧,
CPR ⟦NATIONAL_ID:211062-5629⟧, ⟦NATIONAL_ID:131052-308T⟧
CPF ⟦NATIONAL_ID:390.533.447-05⟧, Aadhaar ⟦NATIONAL_ID:2341 2341 2346⟧, PAN ⟦NATIONAL_ID:ACUPA7085R⟧
⟦NATIONAL_ID:85.07.30-033 28⟧, AHV ⟦NATIONAL_ID:756.9217.0769.85⟧,
SVNR ⟦NATIONAL_ID:1237 010180⟧, PPS ⟦NATIONAL_ID:6433435F⟧
SIN ⟦NATIONAL_ID:046 454 286⟧, TFN ⟦NATIONAL_ID:123 456 782⟧,
⟦NATIONAL_ID:971013-9019902⟧, NRIC ⟦NATIONAL_ID:S1234567D⟧
Passport No. ⟦NATIONAL_ID:X1234567⟧, Personalausweis ⟦NATIONAL_ID:L01X00T47⟧, driver's license ⟦NATIONAL_ID:D1234567⟧
Rentenversicherungsnummer ⟦NATIONAL_ID:15 070649 C 103⟧,
HKID ⟦NATIONAL_ID:A123456(3)⟧, SNILS ⟦NATIONAL_ID:112-233-445 95⟧
Host ⟦IP:192.168.1.10⟧:8080, ⟦IP:10.0.0.1⟧/24, http://⟦IP:203.0.113.7⟧/x,
root@⟦IP:198.51.100.7⟧, ⟦IP:10.1.1.1⟧-⟦IP:10.1.1.9⟧
⟦IP:2001:db8::1⟧, [⟦IP:2001:db8:85a3::8a2e:370:7334⟧]:443, ⟦IP:fe80::1⟧%eth0, ⟦IP:::ffff:192.0.2.1⟧
password: ⟦SECRET:hunter2⟧~pwd=⟦SECRET:letmein⟧~DB_PASSWORD=⟦SECRET:S3cr3t!23⟧~"password": "⟦SECRET:correct horse⟧"
The password for the staging server is ⟦SECRET:Winter2024!⟧. Use ⟦SECRET:S3cure!pw⟧ as the password.
It was changed: set the admin password to ⟦SECRET:Qwerty!23⟧, the old password (⟦SECRET:Zx9!kk2⟧) is dead.
Das Passwort lautet ⟦SECRET:Sommer2024⟧; mot de passe : ⟦SECRET:Azerty123⟧; la contraseña es ⟦SECRET:Verano2023⟧
passphrase: ⟦SECRET:correct horse battery staple⟧
postgres://app:⟦SECRET:s3cr3tpw⟧@db.internal:5432/app redis://:⟦SECRET:p4ssw0rd⟧@cache:6379
Server=db;User Id=sa;Password=⟦SECRET:Str0ng!Pass⟧;Encrypt=true
curl -u admin:⟦SECRET:s3cret⟧ https://x; mysql -u root -p⟦SECRET:S3cretPw⟧ db; sshpass -p '⟦SECRET:hunter22⟧' ssh x
Authorization: Bearer ⟦SECRET:abcDEF123456ghiJKL⟧~Authorization: Basic ⟦SECRET:dXNlcjpwYXNzd29yZA==⟧
{"api_key": "⟦SECRET:abcd1234efgh5678⟧"} X-Api-Key: ⟦SECRET:1a2b3c4d5e6f7g8h⟧ ?token=⟦SECRET:a1b2c3d4e5f6a7b8⟧&x=1
⟦SECRET:AKIA¦IOSFODNN7EXAMPLE⟧ and aws_secret_access_key = ⟦SECRET:wJalrXUtnFEMI/K7MDENG/bPxRfiCY¦EXAMPLEKEY⟧
⟦SECRET:gh¦p_16C7e42F292c6912E7710c838347Ae178B4a⟧,
⟦SECRET:xo¦xb-123456789012-abcdefGHIJKL⟧, ⟦SECRET:sk_¦live_4eC39HqLyjWDarjtT1zdp7dc⟧
⟦SECRET:glp¦at-ABCdef123456ghiJKL78⟧ ⟦SECRET:AI¦zaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY⟧
⟦SECRET:sk-¦ant-api03-abcdefghijklmnop⟧
⟦SECRET:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U⟧ expired
⟦SECRET:github¦_pat_11ABCDEFG0abcdefghij_KLMNOPQRSTUV⟧ ⟦SECRET:np¦m_abcdefghijklmnopqrstuvwxyz0123456789⟧
⟦SECRET:hf¦_abcdefghijklmnopqrstuvwxyz12345678⟧
⟦SECRET:SG¦.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc⟧
⟦SECRET:dap¦i0123456789abcdef0123456789abcdef⟧ ⟦SECRET:pyp¦i-AgEIcHlwaS5vcmcCJDEyMzQ1Njc4OTAxMjM0⟧
https://x.blob.core/a?sv=2020&sig=⟦SECRET:abcDEF123%2Bxyz789%3D⟧&se=2024, ⟦SECRET:hvs¦.CAESIJabcdefghijklmnop12⟧
⟦SECRET:https://hooks¦.slack.com/services/T00000000/B00000000/abcDEF123456ghiJKL789mno⟧
⟦SECRET:-----BEGIN RSA PRIV¦ATE KEY-----~MIIEpAIBAAKCAQEA7bq~-----END RSA PRIV¦ATE KEY-----⟧
The PIN is ⟦SECRET:4829⟧; your verification code is ⟦SECRET:482913⟧; login: admin / ⟦SECRET:hunter2⟧
⟦PERSON:Jane Doe⟧ met ⟦PERSON:DOE, JANE⟧, ⟦PERSON:jürgen  groß⟧ and ⟦PERSON:Sinéad O’Connor⟧'s ⟦PERSON:Maria~Schmidt⟧.
⟦PERSON:Ana María López⟧, ⟦PERSON:Picard, Jean-Luc⟧, (⟦PERSON:Schmidt, Maria⟧)
"""
NOTHING = r"""
git@github.com:org/repo.git, @handle, logo@2x.png, @scope/pkg@1.2.3, a@b, ***@example.com, @app.route("/x")
ssh deploy@prod.example.com, your.name@company.com, meet @ 5 pm,
look at example dot com, https://mastodon.social/@user@server.org
Order 415-555-0132, invoice no. 0151-23456789, ticket 4155550132, Meeting ID: 812 3456 7890, SKU 123-456-7890-X
2023-05-12 10:30, 01.02.2023 10:30, 08/2017 - 12/2018, 2019-2020, ISBN 0-306-40615-2, 978-3-16-148410-0, 20231231T
timestamp 1683891045, 1234567890, 3.14159265358, 1,234,567,890 EUR,
0 1 2 3 4 5 6 7 8 9, 37.7749, -122.4194, 5000 - 10000 - 15000
550e8400-e29b-41d4-a716-446655440000, 9fceb02d0ae598e95dc970b74767f19372d61af8, part 0445-120-123, 0101 1100 0011
IBAN DE88 3704 0044 0532 0130 00, card 4111 1111 1111 1112,
order 4242424242424242, IMEI 490154203237518, 0000 0000 0000 0000
000-12-3456, 123456789, 12 345 678 901, GB123456C, 2341 2341 2347,
BSN 111222334, 12345678A, passport takes 6 weeks, order 123-45-6789
version 10.2.0.1, v1.2.3.4, from version 10.2.0.1 to 10.2.0.3,
section 3.2.1.4, 1.2.3.4.5, 256.1.1.1, Chrome/120.0.0.0, foo==1.2.3.4
127.0.0.1, 0.0.0.0, 255.255.255.0, ::1, 00:1A:2B:3C:4D:5E,
12:30:45, std::vector, dead::beef, 16:27:ac:a5:76:28:2d:36:63:1b
password: <your password>~password: xxx~password=$PASSWORD
password: ${DB_PASSWORD}~password: ********~password: changeme
password = os.environ["DB_PASSWORD"]; password = get_password();
password: Optional[str] = None; api_key = config.api_key
Password: must be at least 8 characters. The password is incorrect.
The password length is 12 characters; forgot password: click here
max_tokens: 4096, token: the smallest unit, token_type: bearer,
password_hash: 5f4dcc3b5aa765d61d8327deb882cf99, secret: inherit
API_KEY=YOUR_API_KEY, secret_name: prod/db, secret ingredient: cinnamon2,
the access token expires in 3600s, PIN code: 560001
https://user:password@example.com, postgres://user:pass@host/db,
Bearer <token>, gh¦p_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
pass rate: 95%, compass: north, 1Password vault, tokenizer: bert-base-uncased, <input type="password" name="password">
janedoe, Jane Doering, Jane, Doe said, Doe Jane, jane_doe
"""


def cases(block: str) -> list[str]:
    return block.replace("¦", "").strip().splitlines()


def parsed(case: str) -> tuple[str, list[tuple[str, str]]]:
    pattern = r"⟦([A-Z_]+):(.*?)⟧"
    case = case.replace("~", "\n")
    return re.sub(pattern, r"\2", case, flags=re.DOTALL), re.findall(pattern, case, flags=re.DOTALL)


def found(text: str, detector: Detector = DETECTOR) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in detector.spans(text)]


def normals(text: str) -> list[str]:
    return [span.normal for span in DETECTOR.spans(text)]


TEXTS = [parsed(case)[0] for case in cases(FOUND) + cases(NOTHING)]


@pytest.mark.parametrize("case", cases(FOUND))
def test_finds_just_what_is_marked(case: str) -> None:
    text, expected = parsed(case)
    assert found(text) == expected


@pytest.mark.parametrize("case", cases(NOTHING))
def test_leaves_numbers_and_words_that_only_look_alike(case: str) -> None:
    assert found(parsed(case)[0]) == []


def test_national_numbers_follow_the_regions() -> None:
    german = Detector(regions=["DE"])
    assert [span.normal for span in german.spans("Tel. 030 901820")] == ["+4930901820"]
    assert found("(415) 555-0132", german) == []
    assert found("+1 415 555 0132", german) == [("PHONE", "+1 415 555 0132")]


def test_only_the_kinds_asked_for() -> None:
    text = "jane@x.com, 10.0.0.7, +1 415 555 0132"
    assert found(text, Detector(kinds=["IP"])) == [("IP", "10.0.0.7")]
    assert found(text, Detector(kinds=[])) == []


def test_without_names_no_person_is_found() -> None:
    assert found("Jane Doe", Detector()) == []


def test_names_keep_their_combining_marks() -> None:
    decomposed = "Ana Mari\u0301a Lo\u0301pez"
    assert found(f"met {decomposed}.") == [("PERSON", decomposed)]
    assert normals(decomposed) == normals("Ana María López")


def test_an_unknown_kind_or_region_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown kind: NAME"):
        Detector(kinds=["NAME"])
    with pytest.raises(UsageError, match="unknown region: XX"):
        Detector(regions=["XX"])


def test_a_detector_travels_to_executors() -> None:
    copy = pickle.loads(pickle.dumps(DETECTOR))
    assert all(found(text, copy) == found(text) for text in TEXTS)


def test_spans_never_overlap_and_are_sorted() -> None:
    everything = " ".join(TEXTS)
    spans = DETECTOR.spans(everything)
    assert {span.kind for span in spans} == set(KINDS)
    assert all(a.end <= b.start for a, b in pairwise(spans))


@pytest.mark.parametrize("separator", ["\n", "\n\n", " | "])
def test_masked_text_stays_as_it_is(separator: str) -> None:
    pseudonyms = Pseudonyms(b"k" * 32)
    for text in [*TEXTS, separator.join(TEXTS)]:
        once, kinds, _ = mask(text, DETECTOR, pseudonyms)
        assert mask(once, DETECTOR, pseudonyms) == (once, [], {})
        assert bool(kinds) == bool(found(text))


def test_the_prefilter_matches_wherever_something_but_a_name_is_found() -> None:
    pattern = re.compile(CANDIDATE)
    for text in TEXTS:
        for kind, value in found(text):
            if kind != "PERSON":
                assert pattern.search(text), value


def test_the_prefilter_reads_alike_in_arrow() -> None:
    pattern = re.compile(CANDIDATE)
    arrow = pc.match_substring_regex(pa.array(TEXTS), CANDIDATE).to_pylist()
    assert arrow == [pattern.search(text) is not None for text in TEXTS]


@pytest.mark.spark
def test_the_prefilter_reads_alike_in_spark(spark: object) -> None:
    from pyspark.sql import functions as F

    rows = spark.createDataFrame([(text,) for text in TEXTS], "text string")  # type: ignore[attr-defined]
    spark_says = [row[0] for row in rows.select(F.col("text").rlike(CANDIDATE)).collect()]
    pattern = re.compile(CANDIDATE)
    assert spark_says == [pattern.search(text) is not None for text in TEXTS]


@pytest.mark.parametrize(
    "prose",
    [
        "The quarterly review went well, and the team is looking forward to the next release in spring.",
        "Give three tips for staying healthy. Eat a balanced diet, exercise regularly and get enough sleep.",
        "In 1945 the war ended; 12 years later, about 50 people met at 10:30 in room 4.",
        "Die Sitzung beginnt am Montag; bitte bringen Sie Ihre Unterlagen mit.",
    ],
)
def test_the_prefilter_lets_plain_prose_pass(prose: str) -> None:
    assert not re.search(CANDIDATE, prose)


def test_thousands_of_names_cost_next_to_nothing() -> None:
    text = ("Please review the plan with Jane Doe before Friday, and thank the colleagues for it. " * 5)[:400]

    def cost(detector: Detector) -> float:
        start = time.process_time()
        for _ in range(200):
            detector.spans(text)
        return time.process_time() - start

    many = Detector(kinds=["PERSON"], names=[f"Name{i} Family{i}" for i in range(5_000)] + NAMES)
    assert cost(many) < 5 * cost(Detector(kinds=["PERSON"], names=NAMES)) + 0.05
