"""Seeds are derived by hashing what they are for; nobody touches a global random state."""

from __future__ import annotations

import hashlib

TUNING_REPLICATES = 1_000_000  # replicates from here on are for tuning: the comparison never sees them
SECOND_ROUND = 500_000  # further on: what is tried at the full budget starts from elsewhere


def derive(*parts: str | int) -> int:
    """Return a 63-bit seed from e.g. (task, method, replicate), equal on every machine."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
