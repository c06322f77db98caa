"""A pinned set of gold rows: read without a JVM, identified by its content."""

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
        """Tokens that carry loss; the first one of a sequence has nothing to be predicted from."""
        return int(self.loss_mask[1:].sum())


@dataclass(frozen=True)
class TrainingSet:
    """The rows of one data set at one version of `gold_examples`, in the order of their ids.

    A row of several copies is in `train` as often.
    """

    version: int
    sha256: str
    train: list[Example]
    evaluation: list[Example]


def read_training_set(tables: Tables, *, dataset: str, version: int | None = None) -> TrainingSet:
    """Reads a data set's gold rows.

    Args:
        tables: where they lie.
        dataset: name of the config.
        version: version of `gold_examples`; None for the newest.

    Raises:
        DataError: no rows to train on.
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
        identity = row["example_id"] if row["part"] == 0 else f"{row['example_id']}#{row['part']}"
        digest.update(f"{identity} {row['split']} {row['copies']} {len(ids)}".encode())
        digest.update(ids.tobytes() + mask.tobytes())
        sides[row["split"]] += [Example(identity, row["source"], ids, mask)] * row["copies"]
    if not sides["train"]:
        raise DataError(
            found=f"no training rows of {dataset} in version {pinned} of {GOLD_EXAMPLES.name}",
            expected="at least one",
            fix="run ingest, clean and prepare with this config",
        )
    return TrainingSet(pinned, digest.hexdigest(), sides["train"], sides["eval"])
