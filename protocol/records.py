"""Record batches, format 2: the unit that producers send, logs keep and consumers get, all in the same bytes.

This is the face of five files, each with one idea: `batch_header` (the 61 bytes, read and patched in place),
`record_reader` (what is inside), `record_pieces` (writing that), `batch_builder` (making batches), `varints`.
docs/format-record-batch.md has the picture of the bytes.
"""

from .batch_builder import (
    NO_LEADER_EPOCH,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    BatchBuilder,
    build_end_txn_marker,
)
from .batch_header import (
    CURRENT_MAGIC,
    LOG_OVERHEAD,
    RECORD_BATCH_OVERHEAD,
    BatchHeader,
    TimestampType,
    crc_is_valid,
    iter_headers,
    patch_crc,
    patch_create_time,
    patch_log_append_time,
    patch_max_timestamp,
    patch_offsets,
    patch_producer,
    read_header,
    read_magic,
    with_records,
)
from .compression import Codec
from .record_pieces import encode_record
from .record_reader import ControlType, EndTxnMarker, Headers, Record, iter_records, iter_unfolded, read_end_txn_marker

__all__ = (
    "CURRENT_MAGIC",
    "LOG_OVERHEAD",
    "NO_LEADER_EPOCH",
    "NO_PRODUCER_EPOCH",
    "NO_PRODUCER_ID",
    "NO_SEQUENCE",
    "RECORD_BATCH_OVERHEAD",
    "BatchBuilder",
    "BatchHeader",
    "Codec",
    "ControlType",
    "EndTxnMarker",
    "Headers",
    "Record",
    "TimestampType",
    "build_end_txn_marker",
    "crc_is_valid",
    "encode_record",
    "iter_headers",
    "iter_records",
    "iter_unfolded",
    "patch_crc",
    "patch_create_time",
    "patch_log_append_time",
    "patch_max_timestamp",
    "patch_offsets",
    "patch_producer",
    "read_end_txn_marker",
    "read_header",
    "read_magic",
    "with_records",
)
