"""Following the records of a batch without reading them: by their sizes, and the timestamp deltas beside these.

    size of the rest | attributes, 1 byte | timestamp delta | offset delta, key, value, headers
    varint             not looked at        varlong           not looked at

`record_reader` makes values of records; this makes none. A broker walks every batch that is produced, so that it stores
nothing that no consumer could read, and knows the batch's largest timestamp. The data are the batch's records, unfolded: bytes,
or a view where copying them would cost more than that a byte of a view takes longer to look at.

What can be told of many records at once is (`_run`); what cannot is that the next record begins where this one ends, and
where records differ in size, that is one step each (`_mixed`). Both take only what is as they expect it, and leave the rest,
and everything that is wrong, to the loop that takes any record and is the one that refuses.
"""

from __future__ import annotations

from functools import cache
from itertools import repeat
from operator import length_hint

from .varints import read_varint, read_varlong

RUN_AT_LEAST = 8
"""A run of fewer records than this is not worth the slices that find it."""
LONGEST_RUN = 4096
MIXED_AT_LEAST = 16
"""Fewer records than this are not worth the views that they are looked up in."""
LONGEST_MIXED = 1024
"""Where sizes differ, a run is looked for once in so many records."""
SINGLY = 128
"""Where neither is found, so many records are taken one by one before both are tried again."""
_ODD, _EVEN, _CONTINUED = bytes(range(1, 256, 2)), bytes(range(0, 256, 2)), bytes(range(128, 256))
_SECOND = tuple(
    (byte << 7) - 0x80 for byte in range(0x80)
)  # what it adds to the first, whose highest bit says that it comes
_UP_TO = tuple(bytes(range(value + 1)) for value in range(256))


def walk_records(data: bytes | memoryview, position: int, count: int) -> tuple[int, int, int]:
    """Follow `count` records that begin at `position`: the position behind them, the largest timestamp delta from 0 on (-1:
    none), and the position of the last one.

    IndexError where there are fewer. The one loop over records that every batch pays for, so it is written for speed: a
    record begins with its size and, behind its attributes byte, its timestamp delta, both zigzag varints, mostly of one or
    two bytes. Deltas are compared as they are encoded: an even number is twice a delta that is not negative. Records of one
    size, one behind the other, are stepped over together, and others of usual sizes by tables.
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
        length, of_these = _run(data, position, stride, stride - (size >> 1), min(count, LONGEST_RUN))
        if length:
            start, position = position + (length - 1) * stride, position + length * stride
        elif count >= MIXED_AT_LEAST:
            length, of_these, start, position = _mixed(data, position, min(count, LONGEST_MIXED))
        largest = max(largest, of_these)
        count -= length
        singly = 1 if length >= RUN_AT_LEAST else SINGLY


def _run(data: bytes | memoryview, position: int, stride: int, head: int, limit: int) -> tuple[int, int]:
    """How many records from `position` on are as large as the one before, up to `limit`, and their largest encoded delta.

    That one has `stride` bytes, `head` of them its size. (0, -2) where there are too few, or their deltas are not alike.
    """
    length = min(limit, (len(data) - position) // stride)
    if (
        length < RUN_AT_LEAST
        or stride - head < 3  # no record is so small
        or data[position] != data[position - stride]  # tells mostly, where sizes differ, and is the least to look at
    ):
        return 0, -2
    for at in range(head):
        column = bytes(data[position + at : position + length * stride : stride])
        same = bytes((data[position - stride + at],))
        if column != same * length:  # which is asked of all at once; to strip them looks at each
            length -= len(column.lstrip(same))
            if length < RUN_AT_LEAST:
                return 0, -2
    first = bytes(data[position + head + 1 : position + length * stride : stride])
    if first.isascii():
        return length, _largest_even(first)
    second = bytes(data[position + head + 2 : position + length * stride : stride])
    if first.translate(None, _CONTINUED) or not second.isascii() or first.translate(None, _EVEN):
        return 0, -2
    high = _largest(second)
    start, end = second.index(high), second.rindex(high) + 1
    if second.count(high) == end - start:  # as in time they come one behind the other
        return length, _largest(first[start:end]) & 0x7F | high << 7
    return length, max(low for low, each in zip(first, second, strict=True) if each == high) & 0x7F | high << 7


def _mixed(data: bytes | memoryview, position: int, limit: int) -> tuple[int, int, int, int]:
    """How many records from `position` on have sizes of one or two bytes, up to `limit`; their largest encoded delta, the
    position of the last one, and that behind it.

    Each takes the same few steps, whatever its size, for a processor that guesses a branch wrong waits longer than the steps
    take: two bytes are looked up as if every size had two, and where the delta is by the first. A delta that is the one before
    once more, as nearly all are where many records come in a millisecond, is not looked at.
    """
    steps, view = _steps(), memoryview(data)
    behind = view[1:]
    deltas = [view[2:]] * 0x80 + [view[3:]] * 0x80
    largest, last, start = -2, -1, position
    turns = repeat(None, limit)
    try:
        for _ in turns:
            start = position
            size = data[position]
            position += steps[size][behind[position]]
            if (delta := deltas[size][start]) != last:
                last = delta
                if delta >= 0x80:
                    last = -1  # its first byte does not tell
                    byte = deltas[size][start + 1]
                    delta += _SECOND[byte & 0x7F]
                    if byte >= 0x80:
                        delta, _ = _longer_varint(deltas[size], start + 2, delta)
                if delta > largest and not delta & 1:
                    largest = delta
    except IndexError:  # the size is of another kind, or the data end: whoever goes on with this record sees which
        return limit - length_hint(turns) - 1, largest, start, start
    return limit, largest, start, position


@cache
def _steps() -> tuple[tuple[int, ...], ...]:
    """By the first byte of a size, and the one behind it: how far it is from there to the next record.

    What is not there, for which there is an IndexError, is negative or has more than two bytes.
    """
    of_one_byte = [(1 + (first >> 1),) * 0x100 for first in range(0, 0x80, 2)]
    of_two = [tuple(range(2 + (first >> 1), 2 + (first >> 1) + (0x80 << 6), 1 << 6)) for first in range(0, 0x80, 2)]
    return tuple(steps for even in of_one_byte + of_two for steps in (even, ()))


def _largest(column: bytes) -> int:
    """Of its bytes, which is the last one where they grow, and that takes one look."""
    last = column[-1]
    return last if not column.translate(None, _UP_TO[last]) else max(column)


def _largest_even(column: bytes) -> int:
    """As `_largest`, of those that are even; -2 where none is."""
    last = column[-1]
    if not last & 1 and not column.translate(None, _UP_TO[last]):
        return last
    even = column.translate(None, _ODD)
    return max(even) if even else -2


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
