"""One pattern for both Spark (`Column.rlike`, Java) and Arrow (RE2): may the text hold anything to be found?

No lookaround, no back-references, no \\b or \\w, which the engines read differently, and few counted
repeats, which make RE2 leave its fast automaton. It must match wherever a `Detector` finds something
other than a name; where it does not match, no Python runs.
"""

from __future__ import annotations

# White space and dashes that people and word processors put between groups of digits.
_GAP = "[ \\t\u00a0\u2009\u202f()./+\u2010-\u2014-]{0,5}"
_SPACE = "[ \\t\u00a0\u2009\u202f.-]?"

_WORDS = "|".join(
    (
        "pass[ _-]?(?:w[od]|phrase|code|ord)|passw|pass?(?:wd|code|ord)|(?:^|[^a-z])pass[\"'`*]{0,3} ?[:=>|]",
        "(?:^|[^a-z])pw[^a-z]|pwd|pswd|psk|kennwort|contrase|mot de passe|mdp|wachtwoord|senha|palavra-passe",
        "has[\u0142\u0141]o|l[o\u00f6\u00d6]senord|parola|secret|adgangskode|salasana|token",
        "(?:wi-?fi|wlan|wpa2?|work|api|access|auth|count|tion|sign(?:ing)?|private)[ _-]?key",
        "(?:shared|storage|master|service|client|app|ssh|deploy|admin|aes|jwt|session|consumer|security|hmac)[ _-]?key",
        "sess(?:ion)?_?id|signature=|[?&](?:sig|key)=|one-time|private key|bearer|authorization|log-?in|log in",
        "logon|(?:2fa|tion|login|security|access|door|alarm|gate|entry|unlock) (?:code|pin)|credential|creds",
        "sign in|zugangsdaten|identifiants",
        "(?:seed|recovery|mnemonic)(?: phrase| words)?[\"'`*]{0,3} ?(?:[:=]|is )|mysql|redis-cli|curl ",
        "[\\[({<] ?(?:at|[\u00e4\u00c4]t|arroba) ?[\\])}>]|[ \\t\\r\\n]dot[ \\t\\r\\n]|&#64;|%40|\u5bc6\u7801",
        "\u30d1\u30b9\u30ef\u30fc\u30c9|\u043f\u0430\u0440\u043e\u043b\u044c|\u041f\u0430\u0440\u043e\u043b\u044c",
        "\u041f\u0410\u0420\u041e\u041b\u042c",
    )
)
_TOKENS = "|".join(
    (
        "(?:PIN|OTP|TAN)[^A-Za-z]|A3T|ABIA|ACCA|AKIA|ASIA|gh[pousr]_|github_pat|GR1348941|xox[a-z]-|xapp-",
        "gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-|[srp]k_(?:live|test)|whsec_|(?:^|[^A-Za-z0-9])sk-|AIza|GOCSPX|ya29",
        "SG\\.|xkeysib|(?:AC|SK)[0-9a-f]{3}|key-[0-9a-f]{3}|[0-9a-f]-us[0-9]|npm_|pypi-|rubygems_|dckr_|do[opr]_v1|hf_",
        "dapi[0-9a-f]|:AA|[A-Za-z0-9_-]\\.[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{9}|sq0|shp[a-z]{2}_|EAA[A-Za-z0-9]{3}|atlasv1",
        "hv[sbr]\\.|dp\\.[a-z]{2}\\.|AT[AC]TT3|lin_api|ntn_|NRAK|glsa_|sntrys_|figd_|PMAK|sgp_|AKC[A-Za-z0-9]{3}|pscale_|sbp_",
        "eyJ|hooks\\.slack|webhook",
    )
)
_NUMBERS = "|".join(
    (
        # Seven digits with little between them: telephone, IBAN, card, most identity numbers.
        f"[0-9](?:{_GAP}[0-9]){{6}}|8[0-9]{{2}}\\)?[-. ][A-Z0-9-]{{3}}",
        # Identity numbers and IBANs with letters among the digits.
        f"[A-Za-z]{{2}}{_SPACE}[0-9]{{2}}{_SPACE}[0-9]{{2}}{_SPACE}[0-9]{{2}}",
        f"[A-Za-z]{{2}}[0-9]{{2}}(?:{_SPACE}[0-9A-Za-z]{{4}}){{2}}{_SPACE}[0-9A-Za-z]{{3}}",
        "[A-Z]{3} ?[A-Z]{3} ?[0-9L-V]{2}[A-Z][0-9L-V]{2}|[A-Za-z]{4}[0-9]{4}|[A-Za-z]{5} ?[0-9]{2}[A-Za-z][0-9]{2}",
        "[0-9]{6}|[A-Z][0-9A-Z]{3,7}[0-9]|[A-Z][- ]?[0-9][0-9A-Z-]{5}",
        # Addresses of hosts.
        "[0-9]\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]|[0-9A-Fa-f]{2}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]|::[Ff]{4}:",
    )
)

CANDIDATE: str = f"[@\uff20]|{_NUMBERS}|{_TOKENS}|(?i:{_WORDS})"
