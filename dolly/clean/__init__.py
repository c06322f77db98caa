"""`bronze_examples` → `silver_examples`, or `rejected` with a reason."""
