"""What the bench talks about: metrics, samples, cases, scenarios, and the results of a run.

    Scenario --cases--> Case --open(broker)--> a round, called once to warm up and then once per alternation --> Sample

A case is one row's work; it names its durability, because a figure without it says nothing.  A metric says which way is
better, and an aim is the ratio to the first peer (Apache Kafka) that issue and README promise; where a figure is itself a
ratio, of clients, the metric carries the aim, which is then for every broker.  A floor is what the same client measures
of the least that a process in Python can do, see `core/floor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .brokers import Broker


FLOOR = "floor"
"""Its name among the brokers of a result."""


class Better(Enum):
    """Which way a metric should go."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a case; `digits` behind the point; `aim` is a bound on the figure itself.

    Of a rate `client_busy` names the figure that says how much of the same time its client needed for itself, in percent.
    """

    name: str
    unit: str
    better: Better
    digits: int = 0
    aim: float | None = None
    client_busy: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round gave: a value for each metric's name, and how many requests or records failed."""

    values: Mapping[str, float]
    failures: int = 0


class NotMeasured(Exception):
    """A case cannot be measured with this broker; the message says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often: `seconds` is what one round's load takes, as far as it can be chosen.

    With `budget_minutes` for all of it the seconds are chosen anew for each scenario.
    """

    runs: int
    seconds: float
    quick: bool = False
    heavy: bool = False
    budget_minutes: float | None = None


Round = Callable[[], Sample]
Open = Callable[["Broker", Plan], AbstractContextManager[Round]]
OpenFloor = Callable[[Path, Plan], AbstractContextManager[Round]]
"""Of a directory on the brokers' disk, and the plan."""
State = Callable[[], AbstractContextManager[None]]
"""Puts the machine into a state and takes it out again; NotMeasured where that cannot be done."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row's work. `weight` and `fixed_s` say how long a round takes: weight * plan.seconds + fixed_s; `setup_s` how long
    `open` does, once for each broker.

    `aims` are bounds on the ratio Ottla / Kafka, by metric name. `runs` caps the rounds of what takes long and hardly
    varies; without `warms_up` the first round counts. `floor` opens what is measured beside the brokers. `state` is the
    machine's while all of them are measured.
    """

    name: str
    durability: str
    metrics: tuple[Metric, ...]
    open: Open
    aims: Mapping[str, float] = field(default_factory=dict)
    weight: float = 1.0
    fixed_s: float = 0.2
    setup_s: float = 0.0
    runs: int | None = None
    ours_only: bool = False
    warms_up: bool = True
    floor: OpenFloor | None = None
    state: State = nullcontext

    def measured(self, broker_count: int) -> int:
        """How many things take turns, of so many brokers."""
        return (1 if self.ours_only else broker_count) + (self.floor is not None)


class Scenario(Protocol):
    """A module in bench/scenarios: NAME, TITLE (what is done, with which client), and its cases."""

    NAME: str
    TITLE: str

    def cases(self, plan: Plan) -> Sequence[Case]: ...


@dataclass(slots=True)
class Result:
    """All that was measured of one case, by broker name (or FLOOR); `skipped` says why one is missing."""

    scenario: str
    case: str
    durability: str
    metrics: tuple[Metric, ...]
    aims: Mapping[str, float]
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # broker -> metric -> rounds
    failures: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, broker: str, sample: Sample) -> None:
        mine = self.values.setdefault(broker, {})
        for name, value in sample.values.items():
            mine.setdefault(name, []).append(value)
        self.failures[broker] = self.failures.get(broker, 0) + sample.failures
