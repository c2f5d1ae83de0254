"""Akash's deployment language (SDL 2.0 and 2.1): read, checked, and made into what providers bid on and are sent."""
