"""A turn of a client: what all are told alike, and what came of it.

Both clocks, the wall's and the processor's, run over the same piece of work: to produce, from the first call to the last
acknowledgement, a first record having been acknowledged before; to consume, from the first record to the last.  So neither
connecting nor finding the topic is counted, nor getting a producer id, which librdkafka asks for every half second.
All produce with acks=all, idempotent, with the same linger, without a codec.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

LINGER_MS = 5
PATIENCE_S = 60.0
"""After so long without an end a turn is given up."""


@dataclass(frozen=True, slots=True)
class Turn:
    """`records` were acknowledged, or read; `failures` were not."""

    records: int
    failures: int
    seconds: float
    processor_s: float

    @property
    def per_second(self) -> float:
        return self.records / self.seconds

    @property
    def processor_us(self) -> float:
        """Of one record, all threads of the process."""
        return self.processor_s / max(1, self.records) * 1e6


class Watch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._clock_s = time.perf_counter()
        self._processor_s = time.process_time()

    def stop(self, records: int, failures: int = 0) -> Turn:
        return Turn(records, failures, time.perf_counter() - self._clock_s, time.process_time() - self._processor_s)

    def is_patient(self) -> bool:
        return time.perf_counter() < self._clock_s + PATIENCE_S
