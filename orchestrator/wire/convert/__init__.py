"""Between wire models and domain values, both ways. Nothing is decided here and nothing is lost."""
