"""Scenario 8: consumer groups. Members that all join at once, and offsets that are committed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count

from ..core.brokers import Broker
from ..core.model import Better, Case, Metric, Plan, Round, Sample
from ..core.rounds import CPU_PER_REQUEST, P99, REQUESTS, ProcessorTime, latency_values, rate_sample, with_processor
from ..load.members import HEARTBEAT_S, commits, time_to_stable
from ..load.one_record import Answers

NAME = "groups"
TITLE = (
    "classic groups, bare Kafka protocol: N members join at once (a heartbeat every "
    f"{HEARTBEAT_S * 1000:.0f} ms, no initial delay), and commits"
)
STABLE = Metric("time to stable", "ms", Better.LESS, 1)
CPU = Metric("broker CPU", "ms", Better.LESS)
COMMITS_SAFETY = "Ottla synced, Kafka not"
COMMITTING_GROUPS = 20


def cases(plan: Plan) -> Sequence[Case]:
    sizes = (2,) if plan.quick else (2, 20, 200)
    return [
        *(
            Case(f"{size} members", "in memory", (STABLE, CPU), partial(_stable, members=size), weight=0, fixed_s=1.5)
            for size in sizes
        ),
        Case(
            f"commits of {COMMITTING_GROUPS} groups, each one at a time",
            COMMITS_SAFETY,
            (REQUESTS, CPU_PER_REQUEST, P99),
            _commits,
        ),
    ]


@contextmanager
def _stable(broker: Broker, plan: Plan, *, members: int) -> Iterator[Round]:
    numbers = count()

    def play() -> Sample:
        spent = ProcessorTime(broker)
        stable_s = time_to_stable(broker.bootstrap, f"bench-{members}-{next(numbers)}", members)
        return Sample(with_processor({STABLE.name: stable_s * 1000}, spent.spent_s(), CPU, 1000))

    yield play


@contextmanager
def _commits(broker: Broker, plan: Plan) -> Iterator[Round]:
    with broker.topic() as (topic, _):

        def play() -> Sample:
            latencies: list[float] = []

            def load() -> Answers:
                answers = commits(broker.bootstrap, topic, groups=COMMITTING_GROUPS, seconds=plan.seconds)
                latencies.extend(answers.latencies_s)
                return answers

            sample = rate_sample(broker, load)
            return Sample({**sample.values, **latency_values(latencies)}, sample.failures)

        yield play
