"""Following the records of a batch without reading them: by their sizes, and the timestamp deltas beside these.

`record_reader` makes values of records; this makes none. A broker walks every batch that is produced, so that it stores
nothing that no consumer could read, and knows the batch's largest timestamp. The data are the batch's records, unfolded: bytes,
or a view where copying them would cost more than that a byte of a view takes longer to look at.
"""

from __future__ import annotations

from .varints import read_varint, read_varlong

RUN_AT_LEAST = 8
"""A run of fewer records than this is not worth the slices that find it."""
LONGEST_RUN = 4096
TRIED_EVERY = 128
"""Where sizes differ, a run is looked for once in so many records."""
_ODD, _EVEN, _CONTINUED = bytes(range(1, 256, 2)), bytes(range(0, 256, 2)), bytes(range(128, 256))
_UP_TO = tuple(bytes(range(value + 1)) for value in range(256))


def walk_records(data: bytes | memoryview, position: int, count: int) -> tuple[int, int, int]:
    """Follow `count` records that begin at `position`: the position behind them, the largest timestamp delta from 0 on (-1:
    none), and the position of the last one.

    IndexError where there are fewer. The one loop over records that every batch pays for, so it is written for speed: a
    record begins with its size and, behind its attributes byte, its timestamp delta, both zigzag varints, mostly of one or
    two bytes. Deltas are compared as they are encoded: an even number is twice a delta that is not negative. Records of one
    size, one behind the other, are stepped over together.
    """
    largest, start, singly = -2, position, 1
    while True:
        for _ in range(min(singly, count)):
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
        count -= singly
        if count <= 0:
            return position, largest >> 1, start
        stride = position - start
        length, of_run = _run(data, position, stride, stride - (size >> 1), min(count, LONGEST_RUN))
        count -= length
        if length:
            start, position = position + (length - 1) * stride, position + length * stride
            largest = max(largest, of_run)
        singly = 1 if length else TRIED_EVERY


def _run(data: bytes | memoryview, position: int, stride: int, head: int, limit: int) -> tuple[int, int]:
    """How many records from `position` on are as large as the one before, up to `limit`, and their largest encoded delta.

    That one has `stride` bytes, `head` of them its size. (0, -2) where there are too few, or their deltas are not alike.
    """
    length = min(limit, (len(data) - position) // stride)
    if length < RUN_AT_LEAST or stride - head < 3:  # no record is so small
        return 0, -2
    for at in range(head):
        column = bytes(data[position + at : position + length * stride : stride])
        length = len(column) - len(column.lstrip(bytes((data[position - stride + at],))))
        if length < RUN_AT_LEAST:
            return 0, -2
    first = bytes(data[position + head + 1 : position + length * stride : stride])
    if first.isascii():
        even = first.translate(None, _ODD)
        return length, _largest(even) if even else -2
    second = bytes(data[position + head + 2 : position + length * stride : stride])
    if first.translate(None, _CONTINUED) or not second.isascii() or first.translate(None, _EVEN):
        return 0, -2
    high = _largest(second)
    start, end = second.index(high), second.rindex(high) + 1
    if second.count(high) == end - start:  # as in time they come one behind the other
        return length, _largest(first[start:end]) & 0x7F | high << 7
    return length, max(low for low, each in zip(first, second, strict=True) if each == high) & 0x7F | high << 7


def _largest(column: bytes) -> int:
    """Of its bytes, which is the last one where they grow, and that takes one look."""
    last = column[-1]
    return last if not column.translate(None, _UP_TO[last]) else max(column)


def offset_delta(data: bytes | memoryview, position: int) -> int:
    """The offset delta of the record at `position`."""
    _, position = read_varint(data, position)  # size
    _, position = read_varlong(data, position + 1)  # attributes, timestamp delta
    delta, _ = read_varint(data, position)
    return delta


def _longer_varint(data: bytes | memoryview, position: int, value: int) -> tuple[int, int]:
    """The rest of a varint of which two bytes are read; its value as it is encoded, and the position behind it."""
    for shift in range(14, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError("a varint has more than ten bytes")
