"""Who of a client's threads had no time left: from files like the kernel's, and from this process itself."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from bench.load.spent import THREADS, SpendWatch, Spent, processors

SECOND_NS = 1_000_000_000


def use(threads: Path, name: str, seconds: float, *, waiting_s: float = 0) -> None:
    thread = threads / name
    thread.mkdir(exist_ok=True)
    (thread / "schedstat").write_text(f"{int(seconds * SECOND_NS)} {int(waiting_s * SECOND_NS)} 17\n")


def test_a_client_is_at_its_limit_when_one_of_its_threads_never_rests_or_all_processors_are_its() -> None:
    assert Spent(seconds=2, all_s=2.5, busiest_s=2).share(4) == 1
    assert Spent(seconds=2, all_s=4, busiest_s=1).share(2) == 1
    assert Spent(seconds=2, all_s=1.5, busiest_s=1).share(2) == 0.5


def test_where_nobody_tells_of_threads_there_is_no_share(tmp_path: Path) -> None:
    spent = SpendWatch(tmp_path / "absent").spent()

    assert spent.busiest_s is None
    assert spent.share(2) is None


def test_the_busiest_thread_is_that_which_used_most_since_the_watch_was_made(tmp_path: Path) -> None:
    use(tmp_path, "1", 100)
    use(tmp_path, "2", 1, waiting_s=50)
    watch = SpendWatch(tmp_path)
    use(tmp_path, "1", 100.5)
    use(tmp_path, "2", 2, waiting_s=90)
    use(tmp_path, "3", 0.75)

    assert watch.spent().busiest_s == 1


def test_a_thread_that_ended_is_not_looked_for(tmp_path: Path) -> None:
    use(tmp_path, "1", 1)
    use(tmp_path, "2", 1)
    watch = SpendWatch(tmp_path)
    (tmp_path / "2" / "schedstat").unlink()
    use(tmp_path, "1", 1.25)

    assert watch.spent().busiest_s == 0.25


@pytest.mark.skipif(not any(THREADS.glob("*/schedstat")), reason="the kernel does not tell of threads")
def test_this_process_has_spent_what_its_own_clock_says() -> None:
    watch = SpendWatch()
    used_from = time.thread_time()
    while time.thread_time() < used_from + 0.05:
        pass
    spent = watch.spent()

    assert spent.busiest_s is not None
    assert spent.busiest_s > 0
    assert spent.all_s >= 0.04
    assert processors() >= 1
