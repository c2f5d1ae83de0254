"""From answers of the API to the lines a person reads. Pure: dictionaries in, text out."""
