"""Record batches for tests, made with the package's own builder."""

from ottla.protocol.records import BatchBuilder, Codec


def batch(
    *values: bytes | None,
    key: bytes | None = None,
    timestamp: int = 1_000,
    codec: Codec = Codec.NONE,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    is_control: bool = False,
) -> bytearray:
    """One batch with a record for each value (one `b"v"` if none is given), all with one key and timestamp."""
    builder = BatchBuilder(
        codec,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        is_control=is_control,
    )
    for value in values or (b"v",):
        builder.append(timestamp, key, value)
    return builder.build()
