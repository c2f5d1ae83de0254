"""Keys of the log in memory, the same ones in each run."""

from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.bootstrap import signing
from orchestrator.service import checkpoints


def key(number: int) -> checkpoints.Key:
    """Return key pair ``number``."""
    made = signing.FileSigner(ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
    return checkpoints.Key(made, made.public_key)


class MemoryKeyring:
    """Implements ``checkpoints.Keyring``."""

    def __init__(self) -> None:
        self._number = 0

    @property
    def current(self) -> checkpoints.Key:
        """See the protocol."""
        return key(self._number)

    def prepare(self) -> checkpoints.Key:
        """See the protocol."""
        return key(self._number + 1)

    def adopt(self) -> None:
        """See the protocol."""
        self._number += 1
