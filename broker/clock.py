"""The broker's one wall clock, so that a test can put another in its place."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the wall-clock time in milliseconds since the epoch."""

    def now_ms(self) -> int: ...


class SystemClock:
    """The system's wall clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000
