"""What arrives from outside by entry point: adapters, found, built, and called within bounds."""
