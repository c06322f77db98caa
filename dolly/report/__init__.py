"""The report of a data run: rows read, rows kept and rows rejected with the reasons, as a page and as figures.

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
    """Builds the report of the tables' newest versions; tables that do not exist are left out.

    Args:
        tables: the tables to read.
        spark: the session.
        dataset: name of the config.
        sources: the config's sources, for their names and visibilities.
        previous: the figures of the previous run, to show the changes; None for the first run.
        training_set: hash of the training set that prepare made; None: the training set of the current gold rows.

    Returns:
        The page as a self-contained HTML file, and its figures as JSON values. Equal tables give an equal page.
    """
    figures = figures_of(tables, spark, dataset=dataset, sources=sources, training_set=training_set)
    return page_of(figures, None if previous is None else changes(figures, previous)), figures
