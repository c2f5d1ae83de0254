"""What makes the record provable: canonical form, hash chain, Merkle tree, signed checkpoints.

Pure functions over bytes and domain values. No I/O, no clock, no keys of its own: a signer is passed in.
"""
