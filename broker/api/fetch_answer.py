"""The whole response to a Fetch that is given one partition's records and is told nothing else, put together in one step.

Records that are few, and whose pages are warm, are read at once; others leave as a slice of their file, which the connection
reads when the peer takes them.
"""

from __future__ import annotations

from ...protocol.errors import KafkaError
from ...protocol.fetch import Part, SizedRecords
from ...protocol.fetch_form import RecordsForm
from ...storage.log import FileSlice
from ..outbox import JOIN_BYTES


def joined(
    form: RecordsForm, correlation_id: int, session_id: int, ends: tuple[int, int, int], records: Part
) -> list[Part]:
    """The response in parts, one if the records are at hand; `ends` are as `RecordsForm.around` has them."""
    if isinstance(records, bytes):
        data: bytes | bytearray | memoryview | None = records
        size_bytes = len(records)
    else:
        size_bytes = records.size_bytes
        data = _read_now(records) if size_bytes <= JOIN_BYTES else None
    before, after = form.around(correlation_id, session_id, ends, size_bytes)
    return [before, records, after] if data is None else [b"".join((before, data, after))]


def _read_now(records: SizedRecords) -> bytes | bytearray | memoryview | None:
    """The bytes, if they are warm; what is wrong with reading them, whoever sends them will find."""
    assert isinstance(records, FileSlice)
    try:
        return records.read_now()
    except (OSError, KafkaError):
        return None
