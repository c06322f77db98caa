"""Tables of training and evaluation: gold, what became of each row, answers."""

from __future__ import annotations

from dolly.schema import columns as c
from dolly.schema.columns import Column, Table

GOLD_EXAMPLES = Table(
    "gold_examples",
    ("dataset", "example_id", "part"),
    (
        c.DATASET,
        c.EXAMPLE,
        c.PART,
        c.SOURCE,
        c.VISIBILITY,
        c.POSITION,
        Column("turns", c.TURNS, "the conversation, user first"),
        c.GROUP,
        c.VARIANT,
        c.EXPECTED,
        c.SPLIT,
        Column("copies", "int", "how many times it takes part in an epoch: its weight in the mix"),
        Column("input_ids", "array<int>", "tokens of the whole conversation"),
        Column("loss_mask", "array<boolean>", "true where a token is trained on"),
        Column("prompt_sha256", "string", "identity of the prompt template"),
        Column("tokenizer_sha256", "string", "identity of the tokenizer"),
    ),
    "a silver row with its split and tokens",
    (
        ("split_is_known", "split IN ('train', 'eval')"),
        ("takes_part", "copies >= 1"),
        ("masks_all_tokens", "cardinality(input_ids) = cardinality(loss_mask)"),
    ),
)
LEDGER = Table(
    "ledger",
    ("dataset", "training_set", "example_id", "part"),
    (
        c.DATASET,
        Column("training_set", "string", "hash of the gold rows it stands for"),
        c.EXAMPLE,
        c.PART,
        c.SOURCE,
        c.SPLIT,
        Column("fate", "string", "trained, truncated, evaluated or left_out"),
        Column("copies", "int", "how many times it takes part in an epoch"),
        Column("tokens", "int", "tokens kept"),
        Column("trained_tokens", "int", "tokens kept that carry loss"),
        Column("masked_tokens", "int", "tokens kept without loss: prompt and first token"),
        Column("truncated_tokens", "int", "tokens cut off"),
    ),
    "what became of each gold row in a training set",
)
TRAINED_ROWS = Table(
    "trained_rows",
    ("dataset", "training", "example_id", "part"),
    (
        c.DATASET,
        Column("training", "string", "hash of all that made the weights, as in their dolly.json"),
        c.EXAMPLE,
        c.PART,
        c.SOURCE,
        Column("times", "int", "how often it was trained on; 0 if max_steps came first"),
        Column("step", "int", "optimiser step that saw it first, from 0"),
        Column("block", "int", "block of that step that it was packed into; process = block % processes"),
        Column("trained_tokens", "int", "tokens with loss, each time"),
        Column("masked_tokens", "int", "tokens without, each time: prompt and first token"),
    ),
    "what a training saw of each training row",
)
EVALUATIONS = Table(
    "evaluations",
    ("dataset", "evaluation", "example_id"),
    (
        c.DATASET,
        Column("evaluation", "string", "hash of weights, questions and decoding settings"),
        c.EXAMPLE,
        c.SOURCE,
        Column("run_id", "string", "MLflow run that wrote the row"),
        Column("engine", "string", "engine and precision of the trained model's answer"),
        Column("question", "string", "what was asked"),
        Column("reference", "string", "the held-out answer"),
        c.EXPECTED,
        Column("before", "string", "the base model's answer"),
        Column("after", "string", "the trained model's answer"),
        Column("before_right", "boolean", "expected text found in the base model's answer"),
        Column("after_right", "boolean", "expected text found in the trained model's answer"),
    ),
    "a question, the answers, the verdicts",
)
