"""Refuses secrets in a config, which is stored in MLflow and in version control.

A password, key or token is an error, also if it came from `${NAME}`, wherever a variable exists for it: the one that
`jdbc.password_env` names, PGPASSWORD, AWS_SECRET_ACCESS_KEY and so on. Spark's properties have no such variable, so
`spark.conf` accepts a secret as `${NAME}`; it is masked in everything that is logged.
"""

from __future__ import annotations

import re
from typing import Any

from dolly.secrets import contains_secret

_DEFAULT = re.compile(r"\$\{[A-Z][A-Z0-9_]*:-(?P<default>[^}]+)\}")
_OF_SPARK = "spark.conf."
_BY_SCHEME = (
    (("s3",), "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    (("abfs", "wasb", "az"), "export AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"),
    (("gs",), "export GOOGLE_APPLICATION_CREDENTIALS, the path of a key file"),
    (("postgresql",), "export PGPASSWORD, or keep it in ~/.pgpass"),
    (("http",), "export MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"),
)


def secret_faults(written: Any, used: Any) -> list[str]:
    """One line for each secret: its key and the variable to use instead, never its value.

    Args:
        written: the config as written in the file and the overrides.
        used: the same with `${NAME}` replaced by its value.
    """
    return _faults("", written, used)


def _faults(key: str, written: Any, used: Any) -> list[str]:
    if isinstance(used, dict):
        pairs = [(f"{key}.{name}" if key else str(name), written[name], value) for name, value in used.items()]
    elif isinstance(used, list):
        pairs = [(f"{key}.{at}", written[at], value) for at, value in enumerate(used)]
    else:
        # The default in ${NAME:-default} is written in the config.
        own = _DEFAULT.sub(r"\g<default>", written) if isinstance(written, str) else written
        secret = contains_secret(key, own if key.startswith(_OF_SPARK) else used)
        return [f"{key}: holds a secret, which would be kept with each run; {_advice(key, used)}"] if secret else []
    return [fault for pair in pairs for fault in _faults(*pair)]


def _advice(key: str, value: Any) -> str:
    if key.startswith(_OF_SPARK):
        return "write ${NAME} and export NAME"
    if ".jdbc." in key:
        return "take it out and give the name of an environment variable that holds it as jdbc.password_env"
    for schemes, advice in _BY_SCHEME:
        if isinstance(value, str) and value.startswith(schemes) and "://" in value:
            return f"take it out; {advice}"
    return "take it out"
