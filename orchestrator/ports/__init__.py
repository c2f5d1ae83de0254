"""What the core asks of the world, and nothing about how it is done."""
