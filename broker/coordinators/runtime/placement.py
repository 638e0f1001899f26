"""Which partition of an internal topic a key belongs to, and with it which node coordinates it.

Clients, Kafka's tools, and a Kafka that takes the directory over reckon in the same way, so this is Java's
`String.hashCode`: h = 31 h + unit over the UTF-16 units, in 32 bits with a sign; then the absolute value, where the one
number without any counts as 0 (`Utils.abs`), modulo the number of partitions.
"""

from __future__ import annotations

from functools import lru_cache

_MASK = 0xFFFF_FFFF
_SIGN = 0x8000_0000


@lru_cache(maxsize=16_384)
def partition_for(key: str, partition_count: int) -> int:
    """The partition of `key`, from 0 on; `partition_count` is how many the topic has."""
    code = java_hash(key)
    return 0 if code == -_SIGN else abs(code) % partition_count


def java_hash(text: str) -> int:
    """Java's `String.hashCode`."""
    code = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for high, low in zip(units[::2], units[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & _MASK
    return code - (_MASK + 1) if code & _SIGN else code
