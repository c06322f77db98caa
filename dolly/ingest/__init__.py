"""Files → `bronze_examples`, or `rejected` with a reason."""
