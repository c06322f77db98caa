"""How many times each training row takes part: exact, seeded, independent of the partitioning."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal

from dolly.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def targets(
    rows: Mapping[str, int],
    *,
    private: Collection[str],
    weights: Mapping[str, float],
    private_share: float | None,
    by: Literal["sample", "repeat"],
) -> dict[str, int]:
    """How many rows each source gives to training, repetitions counted.

    Args:
        rows: source → its training rows.
        private: the private sources.
        weights: source → times its rows; 1 for others.
        private_share: share of the private sources in all; None leaves it.
        by: reach the share by fewer rows of the side that has too many, or by more of the other.

    Raises:
        DataError: a share is wanted of a side that has no rows.
    """
    wanted = {source: count * weights.get(source, 1.0) for source, count in rows.items()}
    if private_share is not None:
        sides = {True: 0.0, False: 0.0}
        for source, count in wanted.items():
            sides[source in private] += count
        if not all(sides.values()):
            raise DataError(
                found=f"{sides[True]:,.0f} private and {sides[False]:,.0f} public training rows",
                expected=f"rows of both for prepare.mix.private_share {private_share}",
                fix="add a source of the other visibility, or remove the share",
            )
        # The size of one side if the other stays unchanged.
        fitting = {
            True: sides[False] * private_share / (1 - private_share),
            False: sides[True] * (1 - private_share) / private_share,
        }
        too_many = sides[True] > fitting[True]
        changed = too_many if by == "sample" else not too_many
        factor = fitting[changed] / sides[changed]
        wanted = {s: count * factor if (s in private) == changed else count for s, count in wanted.items()}
    return _rounded(wanted)


def _rounded(wanted: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that add up to the rounded total: largest remainders go up (Hamilton's method)."""
    down = {source: int(value) for source, value in wanted.items()}
    missing = round(sum(wanted.values())) - sum(down.values())
    by_remainder = sorted(wanted, key=lambda source: (down[source] - wanted[source], source))
    for source in by_remainder[:missing]:
        down[source] += 1
    return down


def with_copies(frame: DataFrame, *, rows: Mapping[str, int], targets: Mapping[str, int], seed: int) -> DataFrame:
    """Adds `copies`, how many times a row takes part: 1 for held-out rows, 0 for those that are left out.

    Each row of a source is taken equally often, but for the remainder, which goes to the rows with the
    smallest hashes.

    Args:
        frame: rows with `source`, `split`, `example_id` and `part`.
        rows: source → its training rows in `frame`.
        targets: source → how many are wanted.
        seed: another one chooses other rows.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    uneven = [source for source, count in rows.items() if targets[source] != count]
    if not uneven:
        return frame.withColumn("copies", F.lit(1))
    hashed = F.sha2(F.concat_ws(":", F.lit(str(seed)), "example_id", F.col("part").cast("string")), 256)
    rank = F.row_number().over(Window.partitionBy("source", "split").orderBy(hashed))
    frame = frame.withColumn("_rank", rank)
    copies = F.lit(1)
    for source in uneven:
        every, rest = divmod(targets[source], rows[source])
        more = F.when(F.col("_rank") <= rest, every + 1).otherwise(every)
        copies = F.when((F.col("source") == source) & (F.col("split") == "train"), more).otherwise(copies)
    return frame.withColumn("copies", copies).drop("_rank")
