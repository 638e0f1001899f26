"""How many records a client is given, so that its turn lasts: from turns that are made up."""

from __future__ import annotations

import sys
from collections import deque
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from bench.load.clients.forms import FORMS
from bench.load.clients.measured import Turn
from bench.scenarios.clients import count_that_lasts, one_round


class Client:
    """Takes `setting_out_s` before anything else, then moves so many records a second."""

    def __init__(self, per_second: float, *, setting_out_s: float = 0.0) -> None:
        self._per_second, self._setting_out_s = per_second, setting_out_s
        self.turns: list[int] = []

    def turn(self, count: int) -> Turn:
        self.turns.append(count)
        return Turn(count, 0, self._setting_out_s + count / self._per_second, 0.0)


def test_a_slow_client_is_given_what_its_first_turn_says() -> None:
    slow = Client(20_000)

    assert count_that_lasts(1.0, slow.turn, first=10_000, most=1_000_000) == 20_000
    assert slow.turns == [10_000]


def test_a_turn_that_was_much_too_short_to_tell_is_followed_by_a_longer_one() -> None:
    fast = Client(1_000_000, setting_out_s=0.03)

    assert count_that_lasts(1.0, fast.turn, first=10_000, most=1_000_000) == 892_857
    assert fast.turns == [10_000, 250_000]


def test_nobody_is_given_more_than_there_is_nor_less_than_at_first() -> None:
    assert count_that_lasts(1.0, Client(9_000_000).turn, first=10_000, most=300_000) == 300_000
    assert count_that_lasts(1.0, Client(10).turn, first=10_000, most=300_000) == 10_000


def test_each_client_begins_a_round_in_its_turn() -> None:
    form = FORMS[0]
    began: list[str] = []

    def turn(client: str, count: int) -> Turn:
        began.append(client)
        return Client(count).turn(count)

    turns = {client: partial(turn, client) for client in form.produce}
    counts = {client: number for number, client in enumerate(turns, 1)}
    order = deque(turns)
    samples = [one_round(form, turns, counts, order) for _ in turns]

    clients = list(turns)
    assert began == [*clients, *clients[1:], clients[0], clients[2], *clients[:2]]
    assert all(sample == samples[0] for sample in samples)
