"""Sample data set of Dolly: private facts, instructions and documents of an invented company."""
