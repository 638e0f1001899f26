"""The same work for each broker in turn, so that what disturbs the machine disturbs all of them.

Every other alternation goes backwards, A B C, C B A, so that none has the same neighbour before it each time: what the one
before leaves behind (pages to be written, a warm or a crowded cache) is not always for the same one.

The first round of each case and broker warms up (caches, connections, a JVM's compiler) and is discarded, except in a quick
run, whose figures nobody keeps.  With a budget of minutes the length of a round is chosen anew before every scenario, from
the time and the work that are left; what takes its own time, however short the rounds are, comes last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial

from ..load import wire
from ..load.librdkafka import consume, produce
from ..load.one_record import pipelined
from .brokers import Broker
from .model import FLOOR, Case, NotMeasured, Plan, Result, Round, Scenario

SHORTEST_S = 0.3
LONGEST_S = 5.0

Tell = Callable[[str], None]
Opening = Callable[[], AbstractContextManager[Round]]


def measure_all(
    scenarios: Sequence[Scenario], brokers: Sequence[Broker], plan: Plan, *, tell: Tell
) -> Iterator[Result]:
    """Every case of every scenario, in order, each as soon as it is measured.

    A scenario for which no time is left is told and left out.
    """
    deadline = None if plan.budget_minutes is None else time.monotonic() + plan.budget_minutes * 60
    for number, scenario in enumerate(scenarios):
        if deadline is not None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                tell(f"{scenario.NAME}: left out, the time is over")
                continue
            plan = replace(plan, seconds=seconds_that_fit(scenarios[number:], len(brokers), plan, left_s))
        tell(f"{scenario.NAME}: {scenario.TITLE} ({plan.seconds:.1f} s a round)")
        for case in scenario.cases(plan):
            yield measure(scenario.NAME, case, brokers, plan, tell, deadline)


def warm(broker: Broker, seconds: float) -> None:
    """Load that nobody measures, small requests and large ones, each for so long: a JVM compiles what it needs."""
    if not seconds:
        return
    with broker.topic() as (name, topic):
        request = wire.produce_frame(topic, 0, wire.batch(1, 100), acks=1)
        pipelined(broker.bootstrap, request, in_flight=50, seconds=seconds)
        sent = produce(broker.bootstrap, name, size_bytes=1024, seconds=seconds)
        consume(broker.bootstrap, name, partitions=1, records=sent.records)


def seconds_that_fit(scenarios: Sequence[Scenario], broker_count: int, plan: Plan, left_s: float) -> float:
    """The length of a round with which these scenarios take `left_s` together."""
    fixed_s = weight = 0.0
    for scenario in scenarios:
        for case in scenario.cases(plan):
            measured = case.measured(broker_count)
            rounds = (_runs(case, plan) + _warms_up(case, plan)) * measured
            fixed_s += rounds * case.fixed_s + measured * case.setup_s
            weight += rounds * case.weight
    return min(LONGEST_S, max(SHORTEST_S, (left_s - fixed_s) / weight)) if weight else plan.seconds


def measure(
    scenario: str, case: Case, brokers: Sequence[Broker], plan: Plan, tell: Tell, deadline: float | None = None
) -> Result:
    """One case: every broker warmed up, then every broker in turn, as often as the plan says; once, when time is over.

    What cannot be cleaned up afterwards (a topic that a broker does not delete) is told, and the result kept.
    """
    result = Result(scenario, case.name, case.durability, case.metrics, case.aims)
    try:
        _measure_into(result, case, brokers, plan, tell, deadline)
    except Exception as error:  # noqa: BLE001 - what each broker failed at is in the result; this came behind it
        tell(f"  {case.name}: setting it up or cleaning up after it failed, {error!r}")
    return result


def _measure_into(
    result: Result, case: Case, brokers: Sequence[Broker], plan: Plan, tell: Tell, deadline: float | None
) -> None:
    with ExitStack() as stack:
        openings = _openings(case, brokers, plan)
        try:
            stack.enter_context(case.state())
        except NotMeasured as reason:
            result.skipped = dict.fromkeys(openings, str(reason))
            tell(f"  {case.name} ({case.durability}): it is not measured, {reason}")
            return
        rounds = _opened(stack, case, plan, openings, result, tell)
        for run in range(_runs(case, plan)):
            if run and deadline is not None and time.monotonic() > deadline:
                tell(f"  {case.name}: the time is over after {run} alternations")
                break
            for name, play in _turns(rounds, run):
                try:
                    result.add(name, play())
                except Exception as error:  # noqa: BLE001 - what one broker cannot do must not lose what was measured
                    del rounds[name]
                    _skip(result, name, error, tell)
    tell(f"  {case.name}: done")


def _opened(
    stack: ExitStack, case: Case, plan: Plan, openings: Mapping[str, Opening], result: Result, tell: Tell
) -> dict[str, Round]:
    """The rounds by what they measure, each warmed up."""
    rounds: dict[str, Round] = {}
    for name, opening in openings.items():
        try:
            play = stack.enter_context(opening())
            if _warms_up(case, plan):
                play()
        except Exception as error:  # noqa: BLE001 - as in `measure`
            _skip(result, name, error, tell)
        else:
            rounds[name] = play
    return rounds


def _turns(rounds: Mapping[str, Round], run: int) -> list[tuple[str, Round]]:
    """An alternation's, in order."""
    turns = list(rounds.items())
    return turns[::-1] if run % 2 else turns


def _openings(case: Case, brokers: Sequence[Broker], plan: Plan) -> dict[str, Opening]:
    openings: dict[str, Opening] = {
        each.name: partial(case.open, each, plan) for each in brokers[: 1 if case.ours_only else None]
    }
    if case.floor is not None:
        openings[FLOOR] = partial(case.floor, brokers[0].directory, plan)
    return openings


def _skip(result: Result, name: str, error: Exception, tell: Tell) -> None:
    reason = str(error) if isinstance(error, NotMeasured) else f"it failed: {error!r}"
    result.skipped[name] = reason
    tell(f"  {result.case}: {name} is not measured, {reason}")


def _warms_up(case: Case, plan: Plan) -> bool:
    return case.warms_up and not plan.quick


def _runs(case: Case, plan: Plan) -> int:
    return plan.runs if case.runs is None else min(case.runs, plan.runs)
