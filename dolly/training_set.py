"""Reads a pinned version of the gold rows without a JVM, and hashes them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dolly.errors import DataError
from dolly.schema import GOLD_EXAMPLES
from dolly.tables import Tables

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Example:
    """A tokenised conversation; both arrays have the shape `(tokens,)`."""

    example_id: str
    source: str
    input_ids: NDArray[np.int64]
    loss_mask: NDArray[np.bool_]

    @property
    def trained_tokens(self) -> int:
        """Number of tokens with loss; the first token of a sequence can't be predicted."""
        return int(self.loss_mask[1:].sum())


@dataclass(frozen=True)
class TrainingSet:
    """The rows of one data set at one version of `gold_examples`, in the order of their ids.

    A row with several copies occurs in `train` as often.
    """

    version: int
    sha256: str
    train: list[Example]
    evaluation: list[Example]


def require_encoding(tables: Tables, *, dataset: str, version: int, prompt_sha256: str, tokenizer_sha256: str) -> None:
    """Checks that a data set's gold rows were encoded with a given prompt and tokenizer.

    Args:
        tables: the tables to read.
        dataset: name of the config.
        version: version of `gold_examples`.
        prompt_sha256: hash of the prompt that the config asks for.
        tokenizer_sha256: hash of the base model's tokenizer with the prompt's markers.

    Raises:
        DataError: rows were encoded with another prompt or tokenizer.
    """
    expected = {"prompt_sha256": prompt_sha256, "tokenizer_sha256": tokenizer_sha256}
    table = tables.read_arrow(GOLD_EXAMPLES, version=version, columns=list(expected), scope=dataset)
    for column, value in expected.items():
        what = column.removesuffix("_sha256")
        stored = sorted(str(hash_) for hash_ in table.column(column).unique().to_pylist())
        if stored not in ([], [value]):
            others = " and ".join(f"{what} {hash_[:12]}" for hash_ in stored)
            raise DataError(
                found=f"{GOLD_EXAMPLES.name} of {dataset} made with {others}",
                expected=f"{what} {value[:12]} in all rows, as model.base, model.prompt_format and model.system say",
                fix="run dolly prepare CONFIG with the same key=value overrides, or leave out those of model",
            )


def read_training_set(tables: Tables, *, dataset: str, version: int | None = None) -> TrainingSet:
    """Reads a data set's gold rows.

    Args:
        tables: the tables to read.
        dataset: name of the config.
        version: version of `gold_examples`; None for the newest.

    Raises:
        DataError: there are no training rows.
    """
    pinned = tables.version(GOLD_EXAMPLES) if version is None else version
    columns = ["example_id", "part", "copies", "source", "split", "input_ids", "loss_mask"]
    table = tables.read_arrow(GOLD_EXAMPLES, version=pinned, columns=columns, scope=dataset)
    table = table.sort_by([("example_id", "ascending"), ("part", "ascending")]) if table.num_rows else table
    digest = hashlib.sha256()
    sides: dict[str, list[Example]] = {"train": [], "eval": []}
    for row in table.to_pylist():
        ids = np.asarray(row["input_ids"], dtype=np.int64)
        mask = np.asarray(row["loss_mask"], dtype=np.bool_)
        row_id = row["example_id"] if row["part"] == 0 else f"{row['example_id']}#{row['part']}"
        digest.update(f"{row_id} {row['split']} {row['copies']} {len(ids)}".encode())
        digest.update(ids.tobytes() + mask.tobytes())
        sides[row["split"]] += [Example(row_id, row["source"], ids, mask)] * row["copies"]
    if not sides["train"]:
        raise DataError(
            found=f"no training rows of {dataset} in version {pinned} of {GOLD_EXAMPLES.name}",
            expected="at least one",
            fix="run ingest, clean and prepare with this config",
        )
    return TrainingSet(pinned, digest.hexdigest(), sides["train"], sides["eval"])
