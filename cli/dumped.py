"""What a dump yields, in words and as JSON: one line each."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

from ..protocol.batch_header import BatchHeader
from ..protocol.errors import MalformedMessage
from ..protocol.record_reader import Record
from ..storage.dump import (
    Dumped,
    DumpedAbort,
    DumpedBatch,
    DumpedEpoch,
    DumpedOffset,
    DumpedPosition,
    DumpedProducer,
    DumpedProperty,
    DumpedTime,
    Unreadable,
)

# -- for people


def lines_of(dumped: Dumped) -> Iterator[str]:
    """One line for a thing, then one for each of its records."""
    match dumped:
        case DumpedBatch():
            yield _batch_line(dumped)
            for record in dumped.records or ():
                yield f"    {_record_line(record)}"
        case DumpedPosition():
            yield f"offset {dumped.offset}  position {dumped.log_position}"
        case DumpedTime():
            yield f"time {_time(dumped.timestamp)}  offset {dumped.offset}"
        case DumpedEpoch():
            yield f"epoch {dumped.epoch}  from offset {dumped.start_offset}"
        case DumpedOffset():
            yield f"{dumped.topic}-{dumped.partition}  offset {dumped.offset}"
        case DumpedProperty():
            yield f"{dumped.name}={dumped.value}"
        case DumpedProducer():
            yield _producer_line(dumped)
        case DumpedAbort():
            yield (
                f"producer {dumped.producer_id}  aborted {dumped.first_offset}..{dumped.last_offset}"
                f"  last stable offset {dumped.last_stable_offset}"
            )
        case Unreadable():
            yield f"unreadable{_at(dumped.position)}: {dumped.reason}"


def _batch_line(batch: DumpedBatch) -> str:
    header = batch.header
    parts = [
        f"offsets {header.base_offset}..{header.last_offset}",
        f"{header.record_count} record{'' if header.record_count == 1 else 's'}",
        f"{header.size_bytes} bytes at {batch.position}",
        f"epoch {header.partition_leader_epoch}",
        _codec(header),
        f"{header.timestamp_type.name.lower()} {_time(header.max_timestamp)}",
    ]
    if header.producer_id >= 0:
        sequences = f"sequences {header.base_sequence}..{header.last_sequence}"
        parts.append(f"producer {header.producer_id} epoch {header.producer_epoch} {sequences}")
    parts += [word for word, holds in _marks(header).items() if holds]
    if header.has_delete_horizon:
        parts.append(f"tombstones and markers go at {_time(header.base_timestamp)}")
    if not batch.crc_is_valid:
        parts.append("CHECKSUM WRONG")
    return "  ".join(parts)


def _record_line(record: Record) -> str:
    headers = "".join(f"  {name}: {_text(value)}" for name, value in record.headers)
    return f"{record.offset}  {_time(record.timestamp)}  key {_text(record.key)}  value {_text(record.value)}{headers}"


def _producer_line(producer: DumpedProducer) -> str:
    transaction = (
        f"  in a transaction from {producer.current_txn_first_offset}" if producer.current_txn_first_offset >= 0 else ""
    )
    return (
        f"producer {producer.producer_id} epoch {producer.producer_epoch}"
        f"  sequences {producer.first_sequence}..{producer.last_sequence}  last offset {producer.last_offset}"
        f"  at {_time(producer.last_timestamp)}{transaction}"
    )


def _time(timestamp_ms: int) -> str:
    if timestamp_ms < 0:
        return "no time"
    try:
        time = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return f"{timestamp_ms} ms"
    return f"{time:%Y-%m-%dT%H:%M:%S}.{timestamp_ms % 1000:03d}Z"


def _text(data: bytes | None) -> str:
    """Bytes as a person reads them: text where they are, quoted; else as Python writes bytes."""
    if data is None:
        return "null"
    try:
        return repr(bytes(data).decode("utf-8"))
    except UnicodeDecodeError:
        return repr(bytes(data))


def _at(position: int | None) -> str:
    return "" if position is None else f" at {position}"


def _codec(header: BatchHeader) -> str:
    try:
        return "uncompressed" if header.codec == 0 else header.codec.name.lower()
    except MalformedMessage as error:
        return str(error)


def _marks(header: BatchHeader) -> dict[str, bool]:
    return {"transactional": header.is_transactional, "control": header.is_control}


# -- for programs


def json_of(dumped: Dumped) -> dict[str, object]:
    """A flat object; `type` says what it is."""
    match dumped:
        case DumpedBatch():
            return _batch_json(dumped)
        case DumpedPosition():
            return {"type": "index_entry", "offset": dumped.offset, "position": dumped.log_position}
        case DumpedTime():
            return {"type": "time_index_entry", "timestamp": dumped.timestamp, "offset": dumped.offset}
        case DumpedEpoch():
            return {"type": "leader_epoch", "epoch": dumped.epoch, "start_offset": dumped.start_offset}
        case DumpedOffset():
            place = {"topic": dumped.topic, "partition": dumped.partition}
            return {"type": "offset", **place, "offset": dumped.offset}
        case DumpedProperty():
            return {"type": "property", "name": dumped.name, "value": dumped.value}
        case DumpedProducer():
            return {"type": "producer", **_fields(dumped)}
        case DumpedAbort():
            return {"type": "aborted_transaction", **_fields(dumped)}
        case Unreadable():
            return {"type": "unreadable", "position": dumped.position, "reason": dumped.reason}


def _fields(dumped: DumpedProducer | DumpedAbort) -> dict[str, object]:
    return {name: getattr(dumped, name) for name in dumped.__slots__}


def _batch_json(batch: DumpedBatch) -> dict[str, object]:
    header = batch.header
    described: dict[str, object] = {
        "type": "batch",
        "position": batch.position,
        "base_offset": header.base_offset,
        "last_offset": header.last_offset,
        "record_count": header.record_count,
        "size_bytes": header.size_bytes,
        "leader_epoch": header.partition_leader_epoch,
        "codec": _codec(header),
        "timestamp_type": header.timestamp_type.name.lower(),
        "base_timestamp": header.base_timestamp,
        "max_timestamp": header.max_timestamp,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "delete_horizon": header.base_timestamp if header.has_delete_horizon else None,
        **_marks(header),
        "crc_is_valid": batch.crc_is_valid,
    }
    if batch.records is not None:
        described["records"] = [_record_json(record) for record in batch.records]
    return described


def _record_json(record: Record) -> dict[str, object]:
    headers = [{"name": name, **_bytes_json("value", value)} for name, value in record.headers]
    return {
        "offset": record.offset,
        "timestamp": record.timestamp,
        **_bytes_json("key", record.key),
        **_bytes_json("value", record.value),
        "headers": headers,
    }


def _bytes_json(name: str, data: bytes | None) -> dict[str, str | None]:
    """Text under `name` where the bytes are UTF-8, else base64 under `name_base64`."""
    if data is None:
        return {name: None}
    try:
        return {name: bytes(data).decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode("ascii")}
