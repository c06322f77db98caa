"""Data sets of Hugging Face's `datasets`: saved folders, read without the library, and hub names.

A saved split is a folder with `state.json`, which names its Arrow streams in their order; several
splits are sub-folders of one with `dataset_dict.json`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolly.errors import DataError, EnvironmentFault, UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


def arrow_rows(spark: SparkSession, path: str, split: str) -> DataFrame:
    """`raw` (a row as JSON) and `position` of each row of a saved split.

    Raises:
        DataError: no such folder or split, or a damaged one.
    """
    files = [str(file) for file in _streams(Path(path), split)]
    starts = [0]
    for file in files:
        starts.append(starts[-1] + _length(file))

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            for number in batch.column("id").to_pylist():
                position = starts[number]
                with pa.memory_map(files[number]) as source:
                    for part in pa.ipc.open_stream(source):
                        raw = [json.dumps(row, ensure_ascii=False, default=_plain) for row in part.to_pylist()]
                        positions = range(position, position + len(raw))
                        yield pa.RecordBatch.from_arrays(
                            [pa.array(raw, pa.string()), pa.array(positions, pa.int64())], ["raw", "position"]
                        )
                        position += len(raw)

    return spark.range(0, len(files), 1, len(files)).mapInArrow(read, "raw string, position bigint")


def download(name: str, split: str, folder: Path, *, allow_network: bool) -> None:
    """Fetches a data set of the hub and saves it in `folder`.

    Raises:
        UsageError: the config does not allow the network.
        EnvironmentFault: the library is not installed.
        DataError: the hub does not give it.
    """
    if not allow_network:
        raise UsageError(
            found=f"a source of format hub ({name})",
            expected="allow_network: true, since it is fetched from a hub",
            fix="set it, or save the data set to a folder and use format: datasets",
        )
    try:
        import datasets  # type: ignore[import-untyped]
    except ImportError as error:
        raise EnvironmentFault(
            found="no package datasets", expected="it, for sources of format hub", fix="pip install datasets"
        ) from error
    try:
        datasets.load_dataset(name, split=split).save_to_disk(str(folder))
    except Exception as error:  # the library raises what its many loaders raise
        raise DataError(
            found=f"{name} can't be fetched ({type(error).__name__}: {error})",
            expected=f"a data set of the hub with a split {split}",
            fix="correct path and split of the source, or the network",
        ) from error


def _streams(folder: Path, split: str) -> list[Path]:
    splits = folder / "dataset_dict.json"
    try:
        if splits.is_file():
            splits_there = json.loads(splits.read_text("utf-8"))["splits"]
            if split not in splits_there:
                raise _unusable(folder, f"no split {split}; there are {', '.join(splits_there)}")
            folder = folder / split
        state = json.loads((folder / "state.json").read_text("utf-8"))
        if "_data_files" not in state:
            raise _unusable(folder, "a state.json that names no files")
        # A name alone: a damaged folder must not lead elsewhere.
        return [folder / Path(file["filename"]).name for file in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable(folder, f"{type(error).__name__}: {error}") from error


def _length(file: str) -> int:
    import pyarrow as pa

    try:
        with pa.memory_map(file) as source:
            return sum(batch.num_rows for batch in pa.ipc.open_stream(source))
    except (OSError, pa.ArrowException) as error:
        raise _unusable(Path(file), str(error)) from error


def _unusable(path: Path, detail: str) -> DataError:
    return DataError(
        found=f"{path}: {detail}",
        expected="a folder that datasets' save_to_disk wrote, and a split of it",
        fix="save it again, or correct path and split of the source",
    )


def _plain(value: Any) -> str:
    """What JSON has no type for: bytes as base64, times and decimals as they are written."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
