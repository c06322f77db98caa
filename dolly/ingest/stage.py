"""The ingest stage: the config's sources → `bronze_examples`, `bronze_documents`, `bronze_files`, `rejected`.

All sources are read before anything is written, so that a run that fails on bad data changes nothing.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dolly.accounting import require_equal
from dolly.clean.privacy.settings import privacy_settings
from dolly.config_data import Source
from dolly.ingest.commit import Part, commit, stale
from dolly.ingest.faults import require_usable
from dolly.ingest.sources import open_source, settings_hash, target
from dolly.ingest.state import FileRow, Rejections, difference, known_files, rejections
from dolly.tables import Changes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dolly.pipeline import Context
    from dolly.result import StageResult
    from dolly.tracking import StageRun


def run(context: Context) -> StageResult:
    """Updates the bronze tables to the current content of each source."""
    config, tables = context.config, context.tables
    with context.tracker.stage("ingest") as stage, ExitStack() as scratch:
        earlier = rejections(tables, config.name)
        parts = [_read(context, source, earlier, scratch) for source in config.sources]
        gone = stale(parts, earlier)
        changes: dict[str, Changes] = {}
        if gone or any(part.rewritten for part in parts):
            changes = commit(context.spark, tables, parts, gone, dataset=config.name)
            earlier = rejections(tables, config.name)
        for part in parts:
            _report(context, stage, part, changes.get(part.source), earlier.rules.get(part.source, Counter()))
        return stage.result()


def _read(context: Context, source: Source, earlier: Rejections, scratch: ExitStack) -> Part:
    """Lists one source and reads its new and changed files."""
    config, tables = context.config, context.tables
    table, settings = target(source), settings_hash(source, config.ingest)
    known = known_files(tables, table, dataset=config.name, source=source.name)
    privacy = privacy_settings(config.clean.privacy, context.state)
    opened = open_source(
        lambda: context.spark,
        source,
        limits=config.ingest,
        known=known,
        settings=settings,
        allow_network=config.allow_network,
        scratch=scratch,
    )
    changed = difference(
        source=source.name,
        file_keys=opened.file_keys,
        versions=opened.versions,
        settings=settings,
        known=known,
        earlier=earlier,
        masking=privacy.sha256 if privacy else "",
    )
    frame, results = None, {}
    counts: Counter[str | None] = Counter()
    for uri in changed.unchanged:
        counts[None] += known[uri].records - known[uri].rejected
    if changed.read:
        frame = opened.rows(changed.read).persist()
        scratch.callback(frame.unpersist)
        results = _results(frame, settings, counts)
    require_usable(
        frame,
        counts,
        source=source.name,
        file_format=source.format,
        required=source.columns.required(),
        path=source.path or source.name,
        one_file=opened.one_file,
    )
    return Part(
        *(source.name, source.visibility, table, settings, opened.file_keys, known, changed, frame, results, privacy)
    )


def _results(frame: DataFrame, settings: str, counts: Counter[str | None]) -> dict[str, FileRow]:
    """Computes the frame and counts its rows by file and rule, in one pass."""
    results: dict[str, FileRow] = {}
    for uri, checksum, size, rule, count in frame.groupBy("uri", "checksum", "bytes", "rule").count().collect():
        counts[rule] += count
        row = results.get(uri, FileRow(checksum, size, settings, 0, 0))
        results[uri] = row._replace(records=row.records + count, rejected=row.rejected + (count if rule else 0))
    return results


def _report(context: Context, stage: StageRun, part: Part, changes: Changes | None, rules: Counter[str]) -> None:
    tables, files, file_changes = context.tables, part.files.values(), part.difference
    rows, bronze, rejected = (
        sum(row.records for row in files),
        tables.rows(part.table, dataset=context.config.name, source=part.source),
        rules.total(),
    )
    require_equal(f"ingest of {part.source}", rows, bronze + rejected)
    metrics = {"in": rows, "bronze": bronze, "rejected": rejected}
    metrics |= {f"rejected/{rule}": count for rule, count in rules.items()}
    stage.metrics({f"{part.source}/{key}": value for key, value in metrics.items()})
    noun = "rows" if part.table.name == "bronze_examples" else "files"
    changed = changes or Changes(tables.version(part.table))
    text = f"{part.source}: {rows:,} {noun} in = {bronze:,} bronze + {rejected:,} rejected ({changed})"
    if part.folder:
        same = len(file_changes.unchanged)
        text += f"; {same:,} files unchanged, {len(file_changes.read):,} read, {len(file_changes.removed):,} removed"
    context.say(text)
    if rules:
        most_first = sorted(rules.items(), key=lambda item: (-item[1], item[0]))
        context.say("  rejected: " + ", ".join(f"{rule} {count:,}" for rule, count in most_first))
