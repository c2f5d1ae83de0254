"""Settings, read strictly and told back completely: those of adapters and those of the server."""
