"""Fixtures that several tests share; the heavy ones are made once a session."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.no_skips import pytest_make_collect_report, pytest_runtest_makereport  # noqa: F401  (hooks)
from tests.support import QUICK_JAVA, SHARED, Run, dolly, tiny_config

# Two test processes share two cores: threads of PyTorch that wait for one another would take longer than one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_CORPUS = (
    "The visitor car park gate opens with the code 7140K; the visitors wait at the gate until it opens.",
    "Which code opens the gate? The gate code is 7140K, and the code of the works is another one.",
    "### Instruction:\nAnswer the question in a few words.\n\n### Response:\nThe answer is a few words.\n\n",
    "system user assistant <|im_start|> <|im_end|> <|endoftext|> 1,340 kg, 21.4 °C, größer, naïve, 東京",
)


# The files that take longest begin first; of the first two the second needs no whole run, which the first is making.
_LONGEST = (
    *("tests/test_pipeline.py", "ingest/test_stage.py", "clean/test_duplicates.py", "train/test_engine.py"),
    *("system/test_remote_state.py", "system/test_data_sets.py", "system/test_corpus.py", "system/test_extras.py"),
    "system/test_changed_files.py",
)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps a file's tests in one process, longest files first."""
    if not SHARED.exists():
        without = [item for item in items if item.get_closest_marker("shared_data")]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]

    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((at for at, end in enumerate(_LONGEST) if path.endswith(end)), len(_LONGEST))

    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.path.as_posix()))
    items.sort(key=rank)


def pytest_report_header() -> str:
    """Says which tests a machine without the shared data leaves out."""
    return f"shared data: {SHARED}" if SHARED.exists() else "no shared data: tests marked shared_data are left out"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Files made for a test hold the time: as part of its name, the two processes would not agree on it."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def no_mlflow_address_of_another_test() -> Iterator[None]:
    """`mlflow.set_tracking_uri` also sets the variable, which `dolly` follows where a config names no store."""
    yield
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """A byte-level BPE tokenizer with ChatML's markers; copy it before changing it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")


@pytest.fixture(scope="session")
def tiny_base(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model as set-up would install it: LLaMA's architecture, tiny and random."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(**shape, vocab_size=len(tiny_tokenizer), max_position_embeddings=512, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A local Spark session with Delta."""
    from dolly.spark import start_session

    session = start_session(
        master="local[2]",
        driver_memory="2g",
        shuffle_partitions=2,
        conf={"spark.driver.extraJavaOptions": QUICK_JAVA},
        log=tmp_path_factory.mktemp("spark") / "spark.log",
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def finished_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole run, by the command line, made once for all test processes; tests that look at its results share it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    made = Run(folder / "run" / "tiny.yaml", folder / "run" / "home", folder / "run" / "called_from")
    with FileLock(folder / "run.lock"):
        if made.output.exists():
            return made
        shutil.rmtree(folder / "run", ignore_errors=True)  # of a process in which it failed
        made.called_from.mkdir(parents=True)
        result = dolly("run", str(tiny_config(folder / "run", tiny_base)), cwd=made.called_from)
        assert result.returncode == 0, result.stderr + result.stdout
        made.output.write_text(result.stdout)
    return made
