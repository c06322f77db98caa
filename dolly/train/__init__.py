"""`gold_examples` → weights: our own loop on DeepSpeed. Nothing here imports Spark."""
