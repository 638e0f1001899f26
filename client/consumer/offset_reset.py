"""Where to begin in a partition without a committed offset, or whose offset is gone: `auto_offset_reset`.

"earliest" | "latest" | "none"       as everywhere
"by_duration:P1DT2H"                 so far back in time (KIP-1106), an ISO 8601 duration
timedelta(days=1)                    the same, said in Python
"""

from __future__ import annotations

import re
from datetime import timedelta

from ...protocol.values import dataclass
from ..admin.values import OffsetSpec

_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d{1,9})?)S)?)?"
)
_BY_DURATION = "by_duration:"


@dataclass(frozen=True, slots=True)
class OffsetReset:
    """A strategy; `spec` None with no duration means that there is none, and the user is told instead."""

    name: str
    spec: OffsetSpec | None = None
    duration_ms: int | None = None

    def timestamp(self, now_ms: int) -> int | None:
        """What to ask ListOffsets for; None when nothing is to be asked."""
        if self.duration_ms is not None:
            return max(0, now_ms - self.duration_ms)
        return self.spec


EARLIEST = OffsetReset("earliest", OffsetSpec.EARLIEST)
LATEST = OffsetReset("latest", OffsetSpec.LATEST)
NONE = OffsetReset("none")
_BY_NAME = {each.name: each for each in (EARLIEST, LATEST, NONE)}


def parse_offset_reset(given: str | timedelta) -> OffsetReset:
    """ValueError with one line on what is wrong."""
    if isinstance(given, timedelta):
        return _back_by(given, f"{given}")
    known = _BY_NAME.get(given.strip().lower())
    if known is not None:
        return known
    if given.startswith(_BY_DURATION):
        return _back_by(_parse_duration(given.removeprefix(_BY_DURATION)), given)
    raise ValueError(f"auto_offset_reset {given!r}: write earliest, latest, none, or by_duration:PT1H")


def _back_by(duration: timedelta, text: str) -> OffsetReset:
    if duration < timedelta():
        raise ValueError(f"auto_offset_reset {text}: a duration is not negative")
    return OffsetReset(text, None, int(duration / timedelta(milliseconds=1)))


def _parse_duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    parts = {} if match is None else {name: float(value) for name, value in match.groupdict().items() if value}
    if not parts:
        raise ValueError(f"{text!r} is not a duration; write it like P1DT2H30M (ISO 8601)")
    return timedelta(**parts)
