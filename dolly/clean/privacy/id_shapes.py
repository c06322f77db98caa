"""Identity numbers with a rare shape: separators or letters at fixed positions, and a check digit.

Forms and checks are those of python-stdnum's modules unless a check of our own stands in `id_checks`.
"""

from __future__ import annotations

from stdnum.ar import cuit
from stdnum.be import ssn as be_ssn
from stdnum.br import cpf
from stdnum.ch import ssn as ch_ssn
from stdnum.cl import rut
from stdnum.cn import ric
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.do import cedula
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.ie import pps
from stdnum.in_ import aadhaar, pan
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.my import nric as my_nric
from stdnum.no import fodselsnummer
from stdnum.pk import cnic
from stdnum.se import personnummer
from stdnum.th import pin

from dolly.clean.privacy import id_checks as own
from dolly.clean.privacy.id_checks import Check, any_of

SWEDISH = r"(?:(?:19|20)[0-9]{2}|[0-9]{2})[0-9]{4}"
FRENCH = r"[12](?:[ .]?[0-9]{2}){2}[ .]?(?:[0-9]{2}|2[AB])(?:[ .]?[0-9]{3}){2}[ .]?[0-9]{2}"
NINO = r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?:[ -]?[0-9]{2}){3}"
CODICE = r"[A-Z]{3} ?[A-Z]{3} ?[0-9L-V]{2}[A-EHLMPR-T][0-9L-V]{2} ?[A-Z][0-9L-V]{3} ?[A-Z]"
CURP = r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]"

DIGIT_FIRST: tuple[tuple[str, Check], ...] = (
    (r"[0-9]{3}-[0-9]{2}-[0-9]{4}", own.american),
    (rf"{SWEDISH}[-+][0-9]{{4}}", any_of(personnummer)),
    (r"[0-9]{6}-[0-9]{7}", any_of(rrn)),
    (r"[0-9]{6}-[0-9]{2}-[0-9]{4}", any_of(my_nric)),
    (FRENCH, any_of(nir)),
    (r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", any_of(cpf)),
    (r"(?!20)[2-9][0-9]{3}(?: [0-9]{4}){2}", any_of(aadhaar)),
    (r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}[- ][0-9]{3}[. -][0-9]{2}", any_of(be_ssn)),
    (r"756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}", any_of(ch_ssn)),
    (r"[0-9]{6}/[0-9]{3,4}", any_of(rc)),
    (r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]", any_of(rut)),
    (r"[0-9]{2}-[0-9]{8}-[0-9]", any_of(cuit)),
    (r"[0-9]{17}[0-9Xx]", any_of(ric)),
    (r"[0-9]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]", any_of(pin)),
    (r"[0-9]{5}-[0-9]{7}-[0-9]", any_of(cnic)),
    (r"[0-9]{3}-[0-9]{7}-[0-9]", any_of(cedula)),
    (r"[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}", any_of(idnr)),
    (r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]", any_of(hetu)),
    (r"[0-9]{8}-?[A-Z]|[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-?[A-Z]", own.not_a_date(any_of(dni))),
    (r"[0-9]{6} [0-9]{5}", any_of(fodselsnummer)),
    (r"[0-9]{7}[A-W][ABHWTX]", any_of(pps)),
    (r"[0-9]{3}-[0-9]{3}-[0-9]{3} [0-9]{2}", own.snils),
)
LETTER_FIRST: tuple[tuple[str, Check], ...] = (
    (rf"{NINO}[ -]?[A-D]", own.nino),
    (CODICE, any_of(codicefiscale)),
    (CURP, any_of(curp)),
    (r"[A-Z]{3}P[A-Z][0-9]{4}[A-Z]", any_of(pan)),
    (r"[XYZ][- ]?[0-9]{7}[- ]?[A-Z]", any_of(nie)),
    (r"[STFGM][0-9]{7}[A-Z]", own.nric),
    (r"[A-Z]{1,2}[0-9]{6}\([0-9A]\)", own.hkid),
)
