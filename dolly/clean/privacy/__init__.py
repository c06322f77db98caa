"""Personal data and secrets in text: detected, and replaced by consistent pseudonyms."""
