"""Secrets are refused in a config and masked in every text that is kept, also in errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dolly.config_file import load_config
from dolly.errors import ConfigError, DataError
from dolly.secrets import MASK, contains_secret, is_secret_key, redacted, without_secrets
from tests.support import dolly

# Each holds the secret Zq7pass.
SECRETS = [
    "jdbc:postgresql://h/d?user=u&password=Zq7pass",
    "jdbc:postgresql://h/d?sslpassword=Zq7pass",
    "jdbc:postgresql://u:Zq7pass@h/d",
    "jdbc:mysql://u:Zq7pass@h:3306/d",
    "jdbc:mysql://address=(host=h)(password=Zq7pass)/d",
    "jdbc:oracle:thin:scott/Zq7pass@h:1521/x",
    "jdbc:sqlserver://h;user=sa;PASSWORD = Zq7pass;encrypt=true",
    "jdbc:databricks://h:443;AuthMech=3;UID=token;PWD=Zq7pass",
    "jdbc:db2://h:50000/d:user=u;password=Zq7pass;",
    "Driver={SQL};PWD={Zq7pass};Server=h",
    "AccountName=a;AccountKey=Zq7pass==;EndpointSuffix=core.windows.net",
    "https://a.blob.core.windows.net/c?sv=2020&sig=Zq7pass%2Bdefghijk1%3D",
    "postgresql://u:Zq7pass@h/d",
    "postgresql://u:1@2/Zq7pass@h/d",
    "redis://:Zq7pass@h",
    "s3a://key:Zq7pass/x+y@bucket/p",
    "fs.s3a.secret.key: Zq7pass",
    "  spark.hadoop.fs.s3a.secret.key: Zq7pass\n  next: 1\n",
    "-Djavax.net.ssl.trustStorePassword=Zq7pass -Xmx1g",
    "spark.ssl.keyPassword=Zq7pass",
    "the password of the database is Zq7pass!",
    "mysql -u root --password Zq7pass",
]
CLEAN = [
    "jdbc:postgresql://127.0.0.1:5432/faq",
    "jdbc:oracle:thin:@//host:1521/service",
    "http://mlflow:5000/path/@v1",
    "postgresql://user@h:5432/d",
    "s3a://bucket/path",
    "abfss://data-prod-2024-0001x@account.dfs.core.windows.net/path",
    "FATAL: password authentication failed for user 'faq'",
    "Access denied for user 'u'@'h' (using password: YES)",
    "export FAQ_PASSWORD=\u2026, or correct jdbc.password_env",
    "prepare.max_tokens=512",
    "-Dx.password=${PASSWORD}",
    "SELECT q, a FROM t WHERE pass = 1",
    "unexpected token: '<'",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_masked_once_and_the_rest_stays(text: str) -> None:
    masked = redacted(text)
    assert MASK in masked
    assert "Zq7pass" not in masked
    assert redacted(masked) == masked
    assert contains_secret("any", text)
    assert redacted(f"see {text}") == f"see {masked}"


@pytest.mark.parametrize("text", CLEAN)
def test_text_without_a_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_what_is_beside_a_secret_can_still_be_read() -> None:
    text = "jdbc:postgresql://u:Zq7pass@h/d?user=u&password=Zq7pass&ssl=true"
    assert redacted(text) == "jdbc:postgresql://u:***@h/d?user=u&password=***&ssl=true"


@pytest.mark.parametrize(
    "key",
    [
        *("fs.s3a.secret.key", "fs.s3a.access.key", "fs.s3a.session.token", "spark.ssl.keyStorePassword"),
        *("fs.azure.account.key.mine.dfs.core.windows.net", "fs.azure.sas.box.mine.blob.core.windows.net"),
        *("spark.authenticate.secret", "javax.jdo.option.ConnectionPassword", "spark.sql.catalog.x.credential"),
    ],
)
def test_settings_that_hold_a_secret(key: str) -> None:
    assert is_secret_key(key)
    assert is_secret_key(f"spark.hadoop.{key}")
    assert contains_secret(key, "abc")
    assert not contains_secret(key, "")


@pytest.mark.parametrize(
    "key",
    [
        *("fs.s3a.aws.credentials.provider", "hadoop.security.credential.provider.path", "password_env", "key_file"),
        *("spark.kubernetes.driver.secrets.mine", "spark.kubernetes.driver.secretKeyRef.X", "max_tokens"),
        *("fs.azure.sas.token.provider.type.mine.dfs.core.windows.net", "spark.security.credentials.hive.enabled"),
        "tokenizer_sha256",
    ],
)
def test_settings_about_a_secret_hold_none(key: str) -> None:
    assert not is_secret_key(key)


def test_a_tree_is_masked_by_key_and_by_form_and_not_changed() -> None:
    tree = {"spark": {"conf": {"fs.s3a.secret.key": "abc", "spark.x": "1"}}, "urls": ["s3a://a:Zq7pass@b"], "n": 3}
    masked = {"spark": {"conf": {"fs.s3a.secret.key": MASK, "spark.x": "1"}}, "urls": ["s3a://a:***@b"], "n": 3}
    assert without_secrets(tree) == masked
    assert tree["urls"] == ["s3a://a:Zq7pass@b"]


def config(folder: Path, **sections: Any) -> Path:
    source = {"name": "facts", "path": "facts.csv", "format": "csv"}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", "sources": [source], "home": str(folder / "home"), **sections}))
    return path


def jdbc(url: str) -> dict[str, Any]:
    return {"sources": [{"name": "db", "format": "jdbc", "jdbc": {"url": url, "table": "t"}}]}


@pytest.mark.parametrize(
    ("sections", "key", "advice"),
    [
        (jdbc(SECRETS[0]), "sources.0.jdbc.url", "jdbc.password_env"),
        (jdbc("${DOLLY_TEST_URL}"), "sources.0.jdbc.url", "jdbc.password_env"),
        ({"state": {"tracking": "postgresql://u:Zq7pass@h/d"}}, "state.tracking", "PGPASSWORD"),
        ({"state": {"tracking": "http://u:Zq7pass@h:5000"}}, "state.tracking", "MLFLOW_TRACKING_PASSWORD"),
        ({"state": {"tables": "s3a://key:Zq7pass@bucket"}}, "state.tables", "AWS_SECRET_ACCESS_KEY"),
        (
            {"sources": [{"name": "s", "format": "csv", "path": "s3a://key:Zq7pass@bucket/x"}]},
            "sources.0.path",
            "AWS_SECRET_ACCESS_KEY",
        ),
        ({"spark": {"conf": {"fs.s3a.secret.key": "Zq7pass"}}}, "spark.conf.fs.s3a.secret.key", "${NAME}"),
        ({"spark": {"conf": {"a.token": "${DOLLY_TEST_UNSET:-Zq7pass}"}}}, "spark.conf.a.token", "${NAME}"),
        ({"spark": {"conf": {"x": "-Da.password=Zq7pass"}}}, "spark.conf.x", "${NAME}"),
        ({"model": {"system": "The password of the safe is Zq7pass!"}}, "model.system", "take it out"),
    ],
)
def test_a_secret_in_a_config_is_a_fault_that_does_not_repeat_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, Any], key: str, advice: str
) -> None:
    monkeypatch.setenv("DOLLY_TEST_URL", SECRETS[0])
    with pytest.raises(ConfigError) as caught:
        load_config(config(tmp_path, **sections))
    (fault,) = caught.value.faults
    assert fault.startswith(f"{key}: holds a secret")
    assert advice in fault
    assert "Zq7pass" not in str(caught.value)


def test_spark_takes_a_secret_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLLY_TEST_KEY", "Zq7pass")
    conf = {"fs.s3a.secret.key": "${DOLLY_TEST_KEY}", "spark.x": "-Da.password=${DOLLY_TEST_KEY}"}
    loaded = load_config(config(tmp_path, spark={"conf": conf}))
    assert loaded.spark.conf["fs.s3a.secret.key"] == "Zq7pass"
    assert "Zq7pass" not in str(without_secrets(loaded.model_dump(mode="json")))


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("name: mine\nsources:\n  - {password: Zq7pass, a: [}\n", []),
        ("name: mine\npassword: Zq7pass\npassword: Zq7pass\n", []),
        ("name: mine\nsources: []\nspark: {conf: {fs.s3a.secret.key: [Zq7pass]}}\n", []),
        ("name: mine\nsources: [{name: s, format: jdbc, jdbc: {url: 'postgresql://u:Zq7pass@h'}}]\n", []),
        ("name: mine\n", ["name.x=postgresql://u:Zq7pass@h"]),
    ],
)
def test_a_fault_elsewhere_does_not_quote_a_secret(tmp_path: Path, text: str, overrides: list[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(Exception, match="found") as caught:
        load_config(path, overrides)
    assert "Zq7pass" not in str(caught.value)


def test_an_error_masks_what_it_quotes() -> None:
    error = DataError(found="jdbc:mysql://u:Zq7pass@h is down", expected="a database", fix="start it")
    assert "Zq7pass" not in str(error) + error.found


def test_a_refused_config_writes_nothing(tmp_path: Path) -> None:
    done = dolly("ingest", str(config(tmp_path, **jdbc(SECRETS[0]))))
    assert done.returncode == 2
    assert "sources.0.jdbc.url" in done.stderr
    assert "Zq7pass" not in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
