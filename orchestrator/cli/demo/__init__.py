"""The demonstration: one story on real processes, each step of which checks what it claims."""
