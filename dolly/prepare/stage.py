"""The prepare stage: `silver_examples` → `gold_examples` + `ledger` + `rejected`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dolly.accounting import rejected_rows, require_equal
from dolly.base_model import locate
from dolly.config import Config
from dolly.config_data import Prepare, Source
from dolly.errors import DataError
from dolly.prepare.mix import targets, with_copies
from dolly.prepare.split import with_selection, with_split
from dolly.prepare.tokens import tokenizer_hash, with_tokens
from dolly.prompts import Prompt
from dolly.schema import GOLD_EXAMPLES, LEDGER, REJECTED, SILVER_EXAMPLES
from dolly.tables import Changes
from dolly.training_set import TrainingSet, read_training_set

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dolly.pipeline import Context
    from dolly.result import StageResult


def run(context: Context) -> StageResult:
    """Splits and tokenises the data set; `ledger` records what became of each silver row."""
    from pyspark.sql import functions as F

    config, tables = context.config, context.tables
    scope = {"dataset": config.name}
    prompt = Prompt(config.model.prompt_format, config.model.system)
    tokenizer = locate(config.model.base, allow_network=config.allow_network)
    with context.tracker.stage("prepare") as stage:
        stage.input(SILVER_EXAMPLES, role="prepare")
        silver = tables.read(context.spark, SILVER_EXAMPLES, dataset=config.name)
        chosen = _chosen(silver, config.sources, config.prepare, seed=config.seed).persist()
        tokenised = _tokenised(chosen.where("selected"), config.prepare, tokenizer=tokenizer, prompt=prompt).persist()
        lost = _require_most(tokenised, limit=config.prepare.max_lost_share)
        good = _mixed(tokenised.where("rule IS NULL"), config).persist()
        gold = good.where("copies > 0")
        left_out = (
            chosen.where("NOT selected")
            .withColumn("part", F.lit(0))
            .unionByName(good.where("copies = 0"), allowMissingColumns=True)
        )
        bad = _rejected(tokenised.where("rule IS NOT NULL"), dataset=config.name)
        counts = {
            "in": silver.count(),
            "gold": gold.count(),
            "rejected": bad.count(),
            "left_out": left_out.count(),
        }
        # A conversation that was split stands for one silver row and more rows beside it.
        counts["parts"] = tokenised.where("part > 0").count()
        ends = counts["gold"] + counts["rejected"] + counts["left_out"]
        require_equal("prepare", counts["in"] + counts["parts"], ends)
        changes = tables.sync(gold, GOLD_EXAMPLES, scope=scope, writer="dolly prepare")
        tables.sync(bad, REJECTED, scope=scope | {"stage": "prepare"}, writer="dolly prepare")
        training_set = read_training_set(tables, dataset=config.name)
        tables.sync(
            _ledger(gold, left_out, training_set=training_set.sha256),
            LEDGER,
            scope=scope | {"training_set": training_set.sha256},
            writer="dolly prepare",
        )
        context.training_set = training_set.sha256
        counts |= _sizes(training_set)
        stage.metrics(counts | {"lost_share": lost})
        stage.tags({"training_set": training_set.sha256, "prompt_sha256": prompt.sha256})
        _say_summary(context, counts, changes=changes, lost=lost)
        for frame in (chosen, tokenised, good):
            frame.unpersist()
        return stage.result(ids={"training_set": training_set.sha256, "prompt": prompt.sha256})


def _say_summary(context: Context, counts: dict[str, int], *, changes: Changes, lost: float) -> None:
    parts = f" + {counts['parts']:,} parts of split conversations" if counts["parts"] else ""
    context.say(
        f"{counts['in']:,} silver{parts} = {counts['gold']:,} gold + {counts['rejected']:,} rejected "
        f"+ {counts['left_out']:,} left out by max_groups or mix ({changes})"
    )
    context.say(
        f"  train: {counts['train/rows']:,} rows, {counts['train/tokens']:,} tokens; "
        f"held out: {counts['eval/rows']:,} rows, {counts['eval/tokens']:,} tokens; "
        f"{lost:.1%} of all tokens cut off or rejected"
    )


def _chosen(silver: DataFrame, sources: Sequence[Source], settings: Prepare, *, seed: int) -> DataFrame:
    """Silver rows with `selected` and `split`, as the config's sources ask."""
    max_groups = {source.name: source.max_groups for source in sources if source.max_groups is not None}
    variants = {source.name: source.eval_variants for source in sources if source.eval_variants}
    selected = with_selection(silver, max_groups=max_groups)
    return with_split(selected, eval_share=settings.eval_share, eval_variants=variants, seed=seed)


def _tokenised(frame: DataFrame, settings: Prepare, *, tokenizer: str, prompt: Prompt) -> DataFrame:
    """Gold rows, and those that have too many tokens with the rule that says so."""
    from pyspark.sql import functions as F

    encoded = with_tokens(
        frame,
        tokenizer=tokenizer,
        prompt=prompt,
        max_tokens=settings.max_tokens,
        over_length=settings.over_length,
    )
    return encoded.withColumns(
        {
            "prompt_sha256": F.lit(prompt.sha256),
            "tokenizer_sha256": F.lit(tokenizer_hash(tokenizer, prompt)),
        }
    )


def _require_most(tokenised: DataFrame, *, limit: float) -> float:
    """Share of the tokens that the limit on tokens has cost.

    Raises:
        DataError: it is above `limit`.
    """
    from pyspark.sql import functions as F

    cut = F.when(F.col("rule").isNull(), F.col("tokens") - F.size("input_ids")).otherwise(F.col("tokens"))
    sums = tokenised.agg(F.sum("tokens").alias("all"), F.sum(cut).alias("lost")).first()
    share = (sums["lost"] or 0) / max(1, sums["all"] or 0) if sums else 0.0
    if share > limit:
        raise DataError(
            found=f"{share:.1%} of the tokens would be cut off or rejected by prepare.max_tokens",
            expected=f"at most {limit:.1%} (prepare.max_lost_share)",
            fix="raise prepare.max_tokens, set prepare.over_length: split, or raise prepare.max_lost_share",
        )
    return share


def _mixed(good: DataFrame, config: Config) -> DataFrame:
    """Adds `copies`, as the config's mix asks."""
    mix = config.prepare.mix
    counted = good.where("split = 'train'").groupBy("source").count().collect()
    rows = {row["source"]: row["count"] for row in counted}
    wanted = targets(
        rows,
        private={source.name for source in config.sources if source.visibility == "private"},
        weights=mix.weights,
        private_share=mix.private_share,
        by=mix.by,
    )
    return with_copies(good, rows=rows, targets=wanted, seed=config.seed)


def _rejected(bad: DataFrame, *, dataset: str) -> DataFrame:
    from pyspark.sql import functions as F

    # Each part of a conversation has its own row; the first has the conversation's id.
    row_id = F.when(F.col("part") == 0, F.col("example_id")).otherwise(F.concat_ws("#", "example_id", "part"))
    texts = F.concat_ws("\n", F.transform("turns", lambda turn: turn["content"]))
    rows = bad.withColumns({"row_id": row_id, "before": texts})
    return rejected_rows(rows, dataset=dataset, stage="prepare", example_id="row_id")


def _sizes(training_set: TrainingSet) -> dict[str, int]:
    """Rows, tokens and tokens with loss of both sides."""
    sizes = {}
    for side, rows in (("train", training_set.train), ("eval", training_set.evaluation)):
        sizes[f"{side}/rows"] = len(rows)
        sizes[f"{side}/tokens"] = sum(len(row.input_ids) for row in rows)
        sizes[f"{side}/trained_tokens"] = sum(row.trained_tokens for row in rows)
    return sizes


def _ledger(gold: DataFrame, left_out: DataFrame, *, training_set: str) -> DataFrame:
    from pyspark.sql import functions as F

    kept = F.size("input_ids")
    # The first token of a sequence is predicted from nothing, so it carries no loss.
    trained = F.size(F.filter(F.slice("loss_mask", 2, 2**31 - 1), lambda bit: bit))
    cut = F.col("tokens") - kept
    fate = (
        F.when(F.col("split") == "eval", F.lit("evaluated"))
        .when(cut > 0, F.lit("truncated"))
        .otherwise(F.lit("trained"))
    )
    columns = ["dataset", "example_id", "part", "source", "split"]
    used = gold.select(
        *columns,
        fate.alias("fate"),
        "copies",
        kept.alias("tokens"),
        trained.alias("trained_tokens"),
        (kept - trained).alias("masked_tokens"),
        cut.alias("truncated_tokens"),
    )
    none = [F.lit(0).alias(name) for name in ("tokens", "trained_tokens", "masked_tokens", "truncated_tokens")]
    unused = left_out.select(*columns, F.lit("left_out").alias("fate"), F.lit(0).alias("copies"), *none)
    return used.unionByName(unused).withColumn("training_set", F.lit(training_set))
