from ottla.broker.memory import MemoryBudget


def test_reserves_up_to_the_limit_and_no_further() -> None:
    budget = MemoryBudget(100)
    assert all(budget.try_reserve(10) for _ in range(9))
    assert not budget.try_reserve(11)
    assert budget.try_reserve(10)


def test_who_waits_is_served_in_order_as_others_release() -> None:
    budget = MemoryBudget(100)
    served: list[str] = []
    for _ in range(10):
        budget.try_reserve(10)
    budget.wait(12, lambda: served.append("first"))
    budget.wait(9, lambda: served.append("second"))
    budget.release(10)
    assert served == []
    budget.release(10)
    assert served == ["first"]
    budget.release(10)
    assert served == ["first", "second"]


def test_nobody_jumps_the_line() -> None:
    budget = MemoryBudget(100)
    for _ in range(10):
        budget.try_reserve(9)
    budget.wait(12, lambda: None)
    assert not budget.try_reserve(5)


def test_a_small_one_passes_the_large_ones_that_wait() -> None:
    budget = MemoryBudget(100)
    assert budget.try_reserve(60)
    budget.wait(40, lambda: None)
    assert budget.try_reserve(10)


def test_large_ones_leave_room_for_small_ones() -> None:
    budget = MemoryBudget(100)
    assert budget.try_reserve(60)
    assert not budget.try_reserve(20)
    assert budget.try_reserve(10)


def test_who_grows_large_counts_as_large_with_all_it_holds() -> None:
    budget = MemoryBudget(100)
    assert budget.try_reserve(10)
    assert budget.try_reserve(50, held_bytes=10)
    assert budget.large_bytes == 60
    budget.release(60)
    assert budget.large_bytes == budget.used_bytes == 0


def test_who_withdraws_lets_the_next_pass() -> None:
    budget = MemoryBudget(100)
    served: list[str] = []
    for _ in range(10):
        budget.try_reserve(9)

    def first() -> None:
        served.append("first")

    budget.wait(12, first)
    budget.wait(10, lambda: served.append("second"))
    budget.withdraw(first)
    assert served == ["second"]


def test_a_request_as_large_as_the_whole_budget_passes_beside_small_ones() -> None:
    budget = MemoryBudget(100)
    budget.try_reserve(10)
    assert budget.try_reserve(100)
    assert not budget.try_reserve(30)


def test_two_requests_as_large_as_the_whole_budget_pass_one_after_the_other() -> None:
    budget = MemoryBudget(100)
    served: list[str] = []
    assert budget.try_reserve(100)
    assert not budget.try_reserve(100)
    budget.wait(100, lambda: served.append("second"))
    budget.release(100)
    assert served == ["second"]
