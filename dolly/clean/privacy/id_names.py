"""Identity numbers that are found only near their name, since their form is that of many other numbers.

The phrases are in lower case; a blank in them stands for a blank, a dash, an underscore or nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from stdnum.ar import cuit
from stdnum.ar import dni as ar_dni
from stdnum.at import vnr
from stdnum.au import tfn
from stdnum.be import ssn as be_ssn
from stdnum.bg import egn
from stdnum.br import cpf
from stdnum.ch import ssn as ch_ssn
from stdnum.cl import rut
from stdnum.cn import ric
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.do import cedula
from stdnum.ec import ci
from stdnum.ee import ik
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs, utr
from stdnum.gr import amka
from stdnum.hr import oib
from stdnum.id import nik
from stdnum.ie import pps
from stdnum.il import idnr as il_idnr
from stdnum.in_ import aadhaar, pan
from stdnum.is_ import kennitala
from stdnum.it import codicefiscale
from stdnum.jp import in_ as my_number
from stdnum.kr import rrn
from stdnum.lt import asmens
from stdnum.mx import curp
from stdnum.my import nric as my_nric
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.nz import ird
from stdnum.pl import pesel
from stdnum.pt import cc as pt_cc
from stdnum.pt import nif as pt_nif
from stdnum.ro import cnp
from stdnum.ru import inn
from stdnum.si import emso
from stdnum.tr import tckimlik
from stdnum.ua import rntrc
from stdnum.za import idnr as za_idnr

from dolly.clean.privacy import id_checks as own
from dolly.clean.privacy.id_checks import Check, any_of
from dolly.clean.privacy.id_shapes import CODICE, CURP, FRENCH, NINO, SWEDISH


class Named(NamedTuple):
    """A form that counts near one of the phrases (parted by |) when `check` agrees."""

    phrases: str
    shape: str
    check: Check


def _digits(*counts: int) -> str:
    return "|".join(rf"(?:[0-9][ .\-/]?){{{count - 1}}}[0-9]" for count in counts)


_SPANISH = r"(?:[0-9]{8}|[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}|[XYZxyz][- ]?[0-9]{7})[- ]?[A-Za-z]"
_CIVIL = any_of(pesel, idnr, fodselsnummer, tckimlik, be_ssn, cpf, cnp, emso, za_idnr, asmens, oib, ric, nir)

NAMED: tuple[Named, ...] = (
    Named("ssn|ssns|social security", r"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}", own.named_ssn),
    Named("itin|taxpayer|tin|tax id", r"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}", own.american),
    Named("ni|nino|national insurance", rf"{NINO}(?:[ -]?[A-D])?", own.nino),
    Named("nhs", _digits(10), any_of(nhs)),
    Named("utr|unique taxpayer", _digits(10), any_of(utr)),
    Named("steuer|steuerid|steueridnr|steueridentifikationsnummer|steuernummer", _digits(11), any_of(idnr)),
    Named("identifikationsnummer|idnr|id nr|tin|tax", _digits(11), any_of(idnr)),
    Named(
        "sozialversicherungsnummer|rentenversicherungsnummer|versicherungsnummer|svnr|sv|vsnr|rvnr",
        r"[0-9]{2} ?[0-9]{6} ?[A-Z] ?[0-9]{3}",
        own.insurance_number,
    ),
    Named("sozialversicherungsnummer|versicherungsnummer|svnr|sv|vsnr", _digits(10), any_of(vnr)),
    Named("nir|nss|s\u00e9curit\u00e9 sociale|securite sociale|s\u00e9cu|insee", FRENCH, any_of(nir)),
    Named("codice fiscale|cod fisc|cod. fisc.|cf|c.f.|fiscal|tax", rf"(?i:{CODICE})", any_of(codicefiscale)),
    Named("dni|nif|nie|documento|identidad", _SPANISH, any_of(dni, nie)),
    Named("dni|documento", r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}", any_of(ar_dni)),
    Named("bsn|burgerservicenummer|sofinummer|sofi|citizen service", _digits(9), any_of(bsn)),
    Named("pesel", _digits(11), any_of(pesel)),
    Named("personnummer|samordningsnummer|personal|pnr", rf"{SWEDISH}[-+ ]?[0-9]{{4}}", own.swedish),
    Named("f\u00f8dselsnummer|fodselsnummer|personnummer|fnr", _digits(11), any_of(fodselsnummer)),
    Named("cpr", _digits(10), any_of(cpr)),
    Named("kennitala|kt", _digits(10), any_of(kennitala)),
    Named("cpf", _digits(11), any_of(cpf)),
    Named("aadhaar|aadhar|uidai|uid", _digits(12), any_of(aadhaar)),
    Named("pan|permanent account", r"[A-Z]{5}[0-9]{4}[A-Z]", any_of(pan)),
    Named("rijksregisternummer|rijksregister|registre national|insz|niss|nrn", _digits(11), any_of(be_ssn)),
    Named("ahv|avs|sozialversicherungsnummer", _digits(13), any_of(ch_ssn)),
    Named("pps|ppsn|personal public", r"[0-9]{7} ?[A-Wa-w][A-Za-z]?", any_of(pps)),
    Named("rodn\u00e9|rodne|r\u010d|birth number", r"[0-9]{6}/?[0-9]{3,4}", any_of(rc)),
    Named("cnp", _digits(13), any_of(cnp)),
    Named("egn|\u0435\u0433\u043d", _digits(10), any_of(egn)),
    Named("oib", _digits(11), any_of(oib)),
    Named("amka|\u03b1\u03bc\u03ba\u03b1", _digits(11), any_of(amka)),
    Named("asmens|isikukood|personal code", _digits(11), any_of(asmens, ik)),
    Named("sin|social insurance", _digits(9), own.canadian),
    Named("tfn|tax file", _digits(9), any_of(tfn)),
    Named("ird", _digits(8, 9), any_of(ird)),
    Named("id|identity", _digits(13), any_of(za_idnr)),
    Named("curp", rf"(?i:{CURP})", any_of(curp)),
    Named("rut|run", r"[0-9]{7,8}-?[0-9Kk]", any_of(rut)),
    Named("cuit|cuil", _digits(11), any_of(cuit)),
    Named("rrn|resident|\uc8fc\ubbfc\ub4f1\ub85d\ubc88\ud638", _digits(13), any_of(rrn)),
    Named("my number|individual number|\u30de\u30a4\u30ca\u30f3\u30d0\u30fc", _digits(12), any_of(my_number)),
    Named("nric|mykad|ic", r"[0-9]{6}-?[0-9]{2}-?[0-9]{4}", any_of(my_nric)),
    Named("kimlik|tckn|tc|t.c.", _digits(11), any_of(tckimlik)),
    Named("teudat|israeli|\u05ea\u05e2\u05d5\u05d3\u05ea|\u05ea.\u05d6", _digits(9), any_of(il_idnr)),
    Named("c\u00e9dula|cedula", _digits(10, 11), any_of(ci, cedula)),
    Named("nik|ktp", _digits(16), any_of(nik)),
    Named("nif|contribuinte", _digits(9), any_of(pt_nif)),
    Named("cart\u00e3o|cidad\u00e3o", r"[0-9]{8} ?[0-9] ?[A-Z0-9]{2}[0-9]", any_of(pt_cc)),
    Named("em\u0161o|emso|jmbg", _digits(13), any_of(emso)),
    Named("\u0440\u043d\u043e\u043a\u043f\u043f|\u0456\u043f\u043d|rnokpp", _digits(10), any_of(rntrc)),
    Named("inn|\u0438\u043d\u043d", _digits(12), any_of(inn)),
    Named("snils|\u0441\u043d\u0438\u043b\u0441", _digits(11), own.snils),
    Named("national|identity|identification|personal|fiscal|tax|citizen", _digits(15, 13, 12, 11), _CIVIL),
    Named(
        "passport|passports|reisepass|reisepassnummer|passeport|pasaporte|passaporto|paspoort|passnummer",
        r"[A-Z]{0,2}[0-9]{6,9}|[A-Z][0-9A-Z]{8}",
        own.document,
    ),
    Named(
        "personalausweis|personalausweisnummer|ausweis|ausweisnummer|identity card|id card|carte d'identit\u00e9",
        r"[A-Z]{1,2}[0-9A-Z]{7,8}[0-9]?|[0-9]{12}",
        own.document,
    ),
    Named(
        "driver's license|driver's licence|drivers license|driver license|driving licence|driving license"
        "|f\u00fchrerschein|f\u00fchrerscheinnummer|permis de conduire",
        r"[A-Z]{1,5}[- ]?[0-9][0-9A-Z-]{5,14}",
        own.document,
    ),
)
