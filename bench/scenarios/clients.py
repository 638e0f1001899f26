"""Scenario 9: Python's clients beside each other, from one process against the same broker, in turn within each round.

Who begins changes from round to round.  A ratio is taken round by round, and aimed for against every broker, whichever it is.
How many records a client is given is found out in first turns, which are dropped, so that the fast and the slow are busy for
about as long; in a quick run all are given as few.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import cycle, islice

from ..core.brokers import Broker
from ..core.model import Better, Case, Metric, Plan, Round, Sample
from ..core.rounds import UNSYNCED_PEER
from ..load import librdkafka
from ..load.clients.forms import FORMS, OURS, Form
from ..load.clients.measured import LINGER_MS, Turn

NAME = "clients"
TITLE = (
    f"records of one process, each client in turn; one partition, acks=all, idempotent, linger {LINGER_MS} ms, no codec"
)
READ = "from the beginning"
FIRST_COUNT, COUNT_QUICK = 10_000, 2_000
SHORTEST_TURN_S = 0.5
TELLING = 0.25
MOST_PRODUCED = 1_000_000
THERE = {100: 1_000_000, 1024: 300_000}
"""How many records of a size there are to read: half a second for the fastest, and no more than the page cache takes."""
THERE_QUICK = 20_000

OpenForm = Callable[..., AbstractContextManager[Round]]
TurnOf = Callable[[int], Turn]
"""A turn of one client with so many records."""


def cases(plan: Plan) -> Sequence[Case]:
    sizes = tuple(THERE)[: 1 if plan.quick else None]
    return [case for size in sizes for case in _cases_of(size)]


def _cases_of(size_bytes: int) -> list[Case]:
    produced = [_produce_case(form, size_bytes) for form in FORMS]
    return [*produced, *(_consume_case(form, size_bytes) for form in FORMS if form.consume)]


def _produce_case(form: Form, size_bytes: int) -> Case:
    return _case("produce", form, size_bytes, UNSYNCED_PEER, tuple(form.produce), _producing)


def _consume_case(form: Form, size_bytes: int) -> Case:
    return _case("consume", form, size_bytes, READ, tuple(form.consume), _consuming)


def _case(verb: str, form: Form, size_bytes: int, durability: str, clients: Sequence[str], open_case: OpenForm) -> Case:
    size = f"{size_bytes} B" if size_bytes < 1024 else f"{size_bytes // 1024} KB"
    return Case(
        f"{verb} {size}, {form.name}",
        durability,
        (*map(_rate, clients), *(_times(each, form.aim) for each in form.peers), OUR_CPU, BEST_PEER_CPU),
        partial(open_case, form=form, size_bytes=size_bytes),
        weight=len(clients) / 2,
        fixed_s=0.4 * len(clients),
        setup_s=1.5 * len(clients) + 2,
        warms_up=False,
    )


def _rate(client: str) -> Metric:
    return Metric(client, "1,000 records/s", Better.MORE)


def _times(peer: str, aim: float) -> Metric:
    return Metric(f"{OURS} / {peer}", "times", Better.MORE, 2, aim)


OUR_CPU = Metric(f"{OURS}, client CPU", "µs/record", Better.LESS, 2)
BEST_PEER_CPU = Metric("best peer, client CPU", "µs/record", Better.LESS, 2)


@contextmanager
def _producing(broker: Broker, plan: Plan, *, form: Form, size_bytes: int) -> Iterator[Round]:
    pool = librdkafka.values_of(size_bytes)

    def turn(client: str, count: int) -> Turn:
        values = list(islice(cycle(pool), count))
        with broker.topic() as (topic, _):
            return form.produce[client](broker.bootstrap, topic, values)

    yield _rounds(form, plan, {client: partial(turn, client) for client in form.produce}, MOST_PRODUCED)


@contextmanager
def _consuming(broker: Broker, plan: Plan, *, form: Form, size_bytes: int) -> Iterator[Round]:
    with broker.topic() as (topic, _):
        wanted = THERE_QUICK if plan.quick else THERE[size_bytes]
        there = librdkafka.produce(broker.bootstrap, topic, size_bytes=size_bytes, seconds=60, max_records=wanted)

        def turn(client: str, count: int) -> Turn:
            return form.consume[client](broker.bootstrap, topic, count)

        yield _rounds(form, plan, {client: partial(turn, client) for client in form.consume}, there.records)


def _rounds(form: Form, plan: Plan, turns: Mapping[str, TurnOf], most: int) -> Round:
    if plan.quick:
        return partial(one_round, form, turns, dict.fromkeys(turns, min(most, COUNT_QUICK)), deque(turns))
    first, turn_s = min(most, FIRST_COUNT), max(SHORTEST_TURN_S, plan.seconds / 2)
    counts = {client: count_that_lasts(turn_s, turn, first=first, most=most) for client, turn in turns.items()}
    return partial(one_round, form, turns, counts, deque(turns))


def count_that_lasts(seconds: float, turn: TurnOf, *, first: int, most: int) -> int:
    """With how many records a turn takes about so long; `most` if it does not. A turn that was much shorter tells little."""
    count = first
    while True:
        took = turn(count)
        wanted = min(most, max(first, int(took.per_second * seconds)))
        if wanted <= count or took.seconds >= seconds * TELLING:
            return wanted
        count = wanted


def one_round(form: Form, turns: Mapping[str, TurnOf], counts: Mapping[str, int], order: deque[str]) -> Sample:
    """A turn of each client, in `order`, which is another in the next round.

    What one has written the system still brings to the disk while the next has its turn.
    """
    took = {}
    for client in order:
        gc.collect()  # what one client leaves behind is not for the next to clear up
        took[client] = turns[client](counts[client])
    order.rotate(-1)
    ours = took[OURS]
    values = {
        **{_rate(client).name: turn.per_second / 1000 for client, turn in took.items()},
        **{_times(peer, form.aim).name: ours.per_second / took[peer].per_second for peer in form.peers},
        OUR_CPU.name: ours.processor_us,
        BEST_PEER_CPU.name: min(took[peer].processor_us for peer in form.peers),
    }
    return Sample(values, sum(turn.failures for turn in took.values()))
