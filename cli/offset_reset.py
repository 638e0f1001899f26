"""Where a group's offsets shall go: the wishes, the reading of times and durations, and the new offset of a partition.

Pure. What is asked for lies where there are records: before the first it becomes the first, behind the last the end. A
time becomes the offset of the first record at or after it, or the end where there is none. Without a commit there is
nothing to shift; `current` then is the end, as for Kafka's tool.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum, auto

from ..client.admin import TopicPartition
from ..protocol.values import dataclass
from .errors import WRONGLY_ASKED, CommandError

_ISO_DURATION = re.compile(
    r"(?P<sign>-?)P(?:(?P<days>\d+)D)?(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)
_SHORT_DURATION = re.compile(r"(?P<number>\d+)(?P<unit>ms|s|m|h|d)")
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Target(Enum):
    """Kinds of wishes."""

    EARLIEST = auto()
    LATEST = auto()
    CURRENT = auto()
    OFFSET = auto()
    SHIFT = auto()
    TIME = auto()


@dataclass(frozen=True, slots=True)
class Wish:
    """`number` is the offset, by how much to shift, or the time in ms."""

    target: Target
    number: int = 0


@dataclass(frozen=True, slots=True)
class Extent:
    """What is known of a partition; `at_time` is the first offset at the time asked for, None where there is none."""

    start: int
    end: int
    committed: int | None
    at_time: int | None = None


def new_offset(wish: Wish, extent: Extent) -> int | None:
    """None where there is nothing to shift."""
    match wish.target:
        case Target.EARLIEST:
            wanted = extent.start
        case Target.LATEST:
            wanted = extent.end
        case Target.CURRENT:
            wanted = extent.end if extent.committed is None else extent.committed
        case Target.OFFSET:
            wanted = wish.number
        case Target.TIME:
            wanted = extent.end if extent.at_time is None else extent.at_time
        case Target.SHIFT:
            if extent.committed is None:
                return None
            wanted = extent.committed + wish.number
    return min(max(wanted, extent.start), extent.end)


def parse_time(text: str) -> int:
    """Milliseconds since 1970 of `2026-11-25T12:00:00`, UTC unless it names a zone; a plain number is taken as such."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"--to-datetime {text}: write it as 2026-11-25T12:00:00 (UTC), with a zone as in "
            "2026-11-25T12:00:00+01:00, or in milliseconds since 1970",
            exit_code=WRONGLY_ASKED,
        ) from None
    zoned = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
    return round(zoned.timestamp() * 1000)


def parse_duration(text: str) -> int:
    """Milliseconds of `PT1H30M`, `P1D`, `90s`, `15m`, `2h`, `1d`."""
    short = _SHORT_DURATION.fullmatch(text)
    if short is not None:
        return int(short["number"]) * _UNITS_MS[short["unit"]]
    iso = _ISO_DURATION.fullmatch(text)
    if iso is None or not any(iso[part] for part in ("days", "hours", "minutes", "seconds")):
        raise CommandError(
            f"--by-duration {text}: write it as PT1H30M, P1D or short as 90s, 15m, 2h, 1d", exit_code=WRONGLY_ASKED
        )
    seconds = (
        int(iso["days"] or 0) * 86_400
        + int(iso["hours"] or 0) * 3_600
        + int(iso["minutes"] or 0) * 60
        + float(iso["seconds"] or 0)
    )
    return round(seconds * 1000) * (-1 if iso["sign"] else 1)


# -- plans in files, as Kafka's tool writes and reads them

Plan = Mapping[str, Mapping[TopicPartition, int]]
"""New offsets by group."""


def plan_lines(plan: Plan) -> Iterable[str]:
    """`topic,partition,offset`, with the group in front when there are several."""
    for group, offsets in plan.items():
        for partition, offset in offsets.items():
            line = f"{partition.topic},{partition.partition},{offset}"
            yield line if len(plan) == 1 else f"{_quoted(group)},{line}"


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"' if any(each in word for each in ',"\n') else word


def read_plan(lines: Iterable[str], groups: Iterable[str], *, name: str) -> Plan:
    """A plan of lines with or without the group; without, they are for each of `groups`. CommandError says which line."""
    plan: dict[str, dict[TopicPartition, int]] = {group: {} for group in groups}
    for number, row in enumerate(csv.reader(lines), 1):
        if not row:
            continue
        of_groups = list(plan) if len(row) == 3 else row[:1]
        if len(row) not in (3, 4) or not all(each.strip().isascii() and each.strip().isdigit() for each in row[-2:]):
            raise CommandError(
                f"{name}, line {number}: {','.join(row)}: write TOPIC,PARTITION,OFFSET, or GROUP in front of it",
                exit_code=WRONGLY_ASKED,
            )
        for group in of_groups:
            if group in plan:
                plan[group][TopicPartition(row[-3].strip(), int(row[-2]))] = int(row[-1])
    return plan
