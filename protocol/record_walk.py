"""Following the records of a batch without reading them: by their sizes, and the timestamp deltas beside these.

`record_reader` makes values of records; this makes none. A broker walks every batch that is produced, so that it stores
nothing that no consumer could read, and knows the batch's largest timestamp. The data are the batch's records, unfolded.
"""

from __future__ import annotations

from .varints import read_varint, read_varlong


def walk_records(data: bytes, position: int, count: int) -> tuple[int, int, int]:
    """Follow `count` records that begin at `position`: the position behind them, the largest timestamp delta from 0 on (-1:
    none), and the position of the last one.

    IndexError where there are fewer. The one loop over records that every batch pays for, so it is written for speed: a
    record begins with its size and, behind its attributes byte, its timestamp delta, both zigzag varints, mostly of one or
    two bytes. Deltas are compared as they are encoded: an even number is twice a delta that is not negative.
    """
    largest, start = -2, position
    for _ in range(count):
        start = position
        size = data[position]
        position += 1
        if size >= 0x80:
            byte = data[position]
            position += 1
            size = size & 0x7F | (byte & 0x7F) << 7
            if byte >= 0x80:
                size, position = _longer_varint(data, position, size)
        if size & 1:
            raise IndexError("a record has a negative size")
        delta = data[position + 1]
        if delta >= 0x80:
            byte = data[position + 2]
            delta = delta & 0x7F | (byte & 0x7F) << 7
            if byte >= 0x80:
                delta, _ = _longer_varint(data, position + 3, delta)
        if delta > largest and not delta & 1:
            largest = delta
        position += size >> 1
    return position, largest >> 1, start


def offset_delta(data: bytes, position: int) -> int:
    """The offset delta of the record at `position`."""
    _, position = read_varint(data, position)  # size
    _, position = read_varlong(data, position + 1)  # attributes, timestamp delta
    delta, _ = read_varint(data, position)
    return delta


def _longer_varint(data: bytes, position: int, value: int) -> tuple[int, int]:
    """The rest of a varint of which two bytes are read; its value as it is encoded, and the position behind it."""
    for shift in range(14, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError("a varint has more than ten bytes")
