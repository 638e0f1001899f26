"""The memory budget against a dumb twin: holders come, grow, wait, leave; nobody is forgotten, nothing leaks."""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from ottla.broker.memory import MemoryBudget

LIMIT = 1000


class Holder:
    """One connection, as far as the budget is concerned."""

    def __init__(self) -> None:
        self.held = 0
        self.waiting = 0
        self.granted: Callable[[], None] = self._granted

    def _granted(self) -> None:
        self.held += self.waiting
        self.waiting = 0


class BudgetMachine(RuleBasedStateMachine):
    """Every step of a connection's life, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = MemoryBudget(LIMIT)
        self.holders: list[Holder] = []

    holders_bundle = Bundle("holders")

    @rule(target=holders_bundle)
    def comes(self) -> Holder:
        holder = Holder()
        self.holders.append(holder)
        return holder

    @rule(holder=holders_bundle, total=st.integers(1, LIMIT))
    def wants(self, holder: Holder, total: int) -> None:
        more = total - holder.held
        if holder.waiting or more <= 0:
            return
        if self.budget.try_reserve(more, held_bytes=holder.held):
            holder.held += more
        else:
            holder.waiting = more
            self.budget.wait(more, holder.granted, held_bytes=holder.held)

    @rule(holder=holders_bundle)
    def is_done(self, holder: Holder) -> None:
        if not holder.waiting and holder.held:
            held, holder.held = holder.held, 0
            self.budget.release(held)

    @rule(holder=consumes(holders_bundle))
    def leaves(self, holder: Holder) -> None:
        if holder.waiting:
            holder.waiting = 0
            self.budget.withdraw(holder.granted)
        held, holder.held = holder.held, 0
        if held:
            self.budget.release(held)
        self.holders.remove(holder)

    @invariant()
    def what_is_used_is_what_is_held(self) -> None:
        assert self.budget.used_bytes == sum(holder.held for holder in self.holders)
        assert self.budget.large_bytes == sum(holder.held for holder in self.holders if holder.held > LIMIT // 8)
        assert self.budget.used_bytes <= LIMIT + LIMIT // 4

    @invariant()
    def nobody_waits_when_nothing_is_held(self) -> None:
        if not self.budget.used_bytes:
            assert self.budget.waiting_count == 0


TestMemoryBudget = BudgetMachine.TestCase
