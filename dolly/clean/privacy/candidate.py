"""One pattern for both Spark (`Column.rlike`, Java) and Arrow (RE2): may a `Detector` report anything in the text?

It must match wherever a `Detector` finds something other than a name; where it does not match, no
Python runs. No lookaround, no back-references, no \\b or \\w, which the engines read differently. Java
tries every alternative at every character, so those that begin alike are grouped behind their first
letter; RE2 leaves its fast automaton for many counted repeats, so there are few.
"""

from __future__ import annotations

from collections.abc import Sequence

# White space and dashes that people and word processors put between groups of digits.
_GAP = "[ \\t\u00a0\u2009\u202f()./+\u2010-\u2014-]{0,5}"

# Announce a secret or spell an address; in any case.
_WORDS = (
    *("2fa (?:code|pin)", "access[ _-]?(?:key|code|pin)", "account[ _-]?key", "adgangskode"),
    *("admin[ _-]?key", "aes[ _-]?key", "alarm (?:code|pin)", "api[ _-]?key", "app[ _-]?key", "arroba"),
    *("at ?[\\])}>]", "atlasv1", "auth[ _-]?key", "authorization", "bearer", "client[ _-]?key"),
    *("consumer[ _-]?key", "contrase", "credential", "creds", "curl ", "dapi[0-9a-f]{3}", "dckr_pat"),
    *("deploy[ _-]?key", "door (?:code|pin)", "dot[ \\t\\r\\n]", "dp\\.[a-z]{2}\\.", "encryption[ _-]?key"),
    *("entry (?:code|pin)", "eyj", "figd_", "gate (?:code|pin)", "github_pat"),
    *("gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-", "glsa_", "has[\u0142\u0141]o", "hmac[ _-]?key"),
    *("hooks\\.slack", "hv[sbr]\\.", "identifiants", "integration[ _-]?key", "jwt[ _-]?key", "kennwort"),
    *("key-[0-9a-f]{3}", "l[o\u00f6\u00d6]senord", "log[ -]in", "login", "logon", "master[ _-]?key", "mdp"),
    *("mnemonic", "mot de passe", "mysql", "network[ _-]key", "one-time", "palavra-passe", "parola"),
    *("pass[ _-]?(?:word|wort|wd|phrase|code)", "pass[\"'`*]{0,3} ?[:=>|]", "passord", "passw"),
    *("private[ _-]key", "pscale_", "psk", "pswd", "pw[^a-z]", "pwd", "pypi-", "recovery ?[:=]"),
    *("recovery phrase", "recovery words", "redis-cli", "salasana", "secret"),
    *("security[ _-]?(?:key|code|pin)", "seed ?[:=]", "seed phrase", "seed words", "senha"),
    *("service[ _-]?key", "sess(?:ion)?_?id", "session[ _-]?key", "shared[ _-]?(?:access[ _-]?)?key"),
    *("sign in", "sign(?:ing)?[ _-]?key", "signature=", "sk-[a-z0-9]{12}", "sk-[a-z]{2,8}-", "sntrys_"),
    *("sq0[a-z]", "ssh[ _-]?key", "storage[ _-]?key", "subscription[ _-]?key", "token"),
    *("unlock (?:code|pin)", "verification (?:code|pin)", "wachtwoord", "webhook", "wi-?fi[ _-]key"),
    *("wlan[ _-]key", "wpa2?[ _-]key", "xapp-", "xkeysib-", "xox[a-z]-", "ya29", "zugangsdaten"),
    *("\u00e4t ?[\\])}>]", "\u00c4t ?[\\])}>]"),
)
# Forms of tokens: the second character and what follows. Those with a long part after _ have a rule below.
_AFTER_CAPITAL = (
    *(
        "3T[A-Z0-9]",
        "BIA",
        "CCA",
        "KIA",
        "SIA",
        "Iza",
        "KC[A-Za-z0-9]{3}",
        "T[AC]TT3",
        "C[0-9a-f]{3}",
        "OCSPX",
        "R1348",
    ),
    *(
        "G\\.",
        "K[0-9a-f]{3}",
        "AA[A-Za-z0-9]{3}",
        "RAK-",
        "MAK-",
    ),
    # Identity numbers.
    *("[0-9]{4}[A-Z]", "[0-9A-Z]{3,7}[0-9]", "[- ]?[0-9][0-9A-Z-]{5}"),
    "[0-9L-V][A-EHLMPR-T][0-9L-V]{2} ?[A-Z][0-9L-V]{3}",
)
_AFTER_DIGIT = (
    # Six digits with little between them: telephone, IBAN, card, most identity numbers. Then hosts.
    *(f"(?:{_GAP}[0-9]){{5}}", "\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]"),
    *("[0-9L-V][A-EHLMPR-T][0-9L-V]{2} ?[A-Z][0-9L-V]{3}", "[0-9]{2}\\)?[-. ][A-Z0-9-]{3}", "fa (?:code|pin)"),
)
_AFTER_SIGN = (
    *("40", "#64;", "(?:sig|key)=", "us[0-9]", "AA", ":[Ff]{4}:"),
    # A token of Discord: three parts, the second of six characters. IPv6.
    *("[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{9}", "[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]"),
)


def _grouped(alternatives: Sequence[str]) -> str:
    rests: dict[str, list[str]] = {}
    for alternative in alternatives:
        rests.setdefault(alternative[0], []).append(alternative[1:])
    return "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in rests.items())


CANDIDATE: str = "|".join(
    (
        "[@\uff20\u5bc6\u30d1\u043f\u041f]",
        f"[0-9](?:{'|'.join(_AFTER_DIGIT)})",
        f"[A-Z](?:{'|'.join(_AFTER_CAPITAL)})",
        f"[%&?:.-](?:{'|'.join(_AFTER_SIGN)})",
        "_(?:[A-Za-z0-9+/=]{10}|live_|test_)|(?:PIN|OTP|TAN)[^A-Za-z]",
        f"(?i:{_grouped(_WORDS)})",
    )
)
