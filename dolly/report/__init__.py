"""The report of a data run: what came in, what became of it and why, as one page and as figures.

page, figures = data_report(tables, spark, dataset=config.name, sources=config.sources, previous=None)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dolly.report.changes import changes
from dolly.report.figures import SourceLike, figures_of
from dolly.report.page import page_of
from dolly.tables import Tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SourceLike", "data_report"]


def data_report(
    tables: Tables,
    spark: SparkSession,
    *,
    dataset: str,
    sources: Sequence[SourceLike],
    previous: Mapping[str, Any] | None,
    training_set: str | None = None,
) -> tuple[str, dict[str, Any]]:
    """Reports on the tables as they are now; of those that do not exist yet nothing is said.

    Args:
        tables: where the tables lie.
        spark: the session.
        dataset: name of the config.
        sources: the config's sources, for their names and visibilities.
        previous: the figures of the run before, to show what has changed; None for the first run.
        training_set: hash of the training set that prepare made; None finds the one that gold stands for.

    Returns:
        The page as HTML that needs no other file, and its figures as values that JSON can hold.
        Equal tables give an equal page.
    """
    figures = figures_of(tables, spark, dataset=dataset, sources=sources, training_set=training_set)
    return page_of(figures, None if previous is None else changes(figures, previous)), figures
