"""What many scenarios' rounds have in common: the broker's processor time around a piece of load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ..load.one_record import Answers
from ..load.spent import Spent, processors
from .model import Better, Metric, NotMeasured, Round, Sample
from .statistics import percentile

ACKS_1 = "acks=1"
SYNCED = "acks=all, synced"
UNSYNCED_PEER = "acks=all, Ottla synced, Kafka not"

REQUESTS = Metric("requests", "1/s", Better.MORE)
CPU_PER_REQUEST = Metric("broker CPU", "µs/request", Better.LESS, 1)
P50 = Metric("p50", "ms", Better.LESS, 3)
P99 = Metric("p99", "ms", Better.LESS, 3)
P999 = Metric("p99.9", "ms", Better.LESS, 3)
CORE_SHARE = Metric("broker CPU", "% of a core", Better.LESS, 1)


class Answering(Protocol):
    """What answers requests: a broker, or the floor's echo."""

    @property
    def bootstrap(self) -> str: ...
    def processor_s(self) -> float: ...


class ProcessorTime:
    """The broker's processor time since this was made; None where it cannot be had."""

    def __init__(self, broker: Answering) -> None:
        self._broker = broker
        self._before = self._now()

    def _now(self) -> float | None:
        try:
            return self._broker.processor_s()
        except NotMeasured:
            return None

    def spent_s(self) -> float | None:
        now = self._now()
        return None if now is None or self._before is None else now - self._before


def with_processor(values: dict[str, float], spent_s: float | None, metric: Metric, per: float) -> dict[str, float]:
    """`values` and the processor time of one unit, where it is known; `per` is in units for one of the metric's."""
    return values if spent_s is None else {**values, metric.name: spent_s * per}


def with_client(values: dict[str, float], spent: Spent, busy: Metric) -> dict[str, float]:
    """`values` and how much of the time the client needed for itself, where that is known."""
    share = spent.share(processors())
    return values if share is None else {**values, busy.name: share * 100}


def rate_sample(broker: Answering, load: Callable[[], Answers]) -> Sample:
    """Requests a second, and the processor time of one."""
    spent = ProcessorTime(broker)
    answers = load()
    values = {REQUESTS.name: answers.count / answers.seconds}
    return Sample(with_processor(values, spent.spent_s(), CPU_PER_REQUEST, 1e6 / answers.count), answers.failures)


def latency_values(latencies_s: list[float]) -> dict[str, float]:
    """p50, p99 and p99.9 in milliseconds."""
    return {
        metric.name: percentile(latencies_s, share) * 1000 for metric, share in ((P50, 0.5), (P99, 0.99), (P999, 0.999))
    }


@contextmanager
def as_round(play: Round) -> Iterator[Round]:
    """A case that needs nothing to be set up."""
    yield play
