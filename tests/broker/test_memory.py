from ottla.broker.memory import MemoryBudget


def test_reserves_up_to_the_limit_and_no_further() -> None:
    budget = MemoryBudget(100)
    assert budget.try_reserve(60)
    assert not budget.try_reserve(41)
    assert budget.try_reserve(40)


def test_who_waits_is_served_in_order_as_others_release() -> None:
    budget = MemoryBudget(100)
    served: list[str] = []
    budget.try_reserve(100)
    budget.wait(80, lambda: served.append("first"))
    budget.wait(10, lambda: served.append("second"))
    budget.release(50)
    assert served == []
    budget.release(30)
    assert served == ["first"]
    budget.release(20)
    assert served == ["first", "second"]


def test_nobody_jumps_the_line() -> None:
    budget = MemoryBudget(100)
    budget.try_reserve(90)
    budget.wait(50, lambda: None)
    assert not budget.try_reserve(5)


def test_who_withdraws_lets_the_next_pass() -> None:
    budget = MemoryBudget(100)
    served: list[str] = []
    budget.try_reserve(90)

    def first() -> None:
        served.append("first")

    budget.wait(50, first)
    budget.wait(10, lambda: served.append("second"))
    budget.withdraw(first)
    assert served == ["second"]


def test_a_request_larger_than_the_whole_budget_passes_when_it_is_alone() -> None:
    budget = MemoryBudget(100)
    budget.try_reserve(1)
    assert not budget.try_reserve(500)
    budget.release(1)
    assert budget.try_reserve(500)
