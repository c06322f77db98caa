"""`silver_examples` → `gold_examples` (split, tokens, loss mask) + `ledger`."""
