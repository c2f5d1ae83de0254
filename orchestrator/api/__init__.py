"""HTTP in: from requests to use cases and back. It decides nothing; what may be done is said by ``service``."""
