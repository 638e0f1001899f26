import sys
from collections.abc import Callable
from mmap import PAGESIZE
from pathlib import Path

import pytest
from ottla.storage.page_cache import PageCache

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked")


def answering(result: int, cached: int = 0) -> Callable[..., int]:
    """A system call that counts so many pages."""

    def call(number: int, descriptor: int, asked: object, counts: list[int], flags: int) -> int:
        counts[0] = cached
        return result

    return call


def test_what_was_just_written_is_there_and_what_was_not_is_not(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb+") as file:
        file.write(b"x" * (3 * PAGESIZE + 5))
        file.flush()
        cache = PageCache()
        is_there = cache.holds(file.fileno(), 10, 3 * PAGESIZE - 5)
        if not cache.knows:
            pytest.skip("a kernel before 6.5, or a sandbox that forbids to ask it")
        assert is_there
        assert not cache.holds(file.fileno(), 10, 6 * PAGESIZE)


def test_bytes_are_there_when_every_page_that_they_touch_is() -> None:
    assert PageCache(answering(0, cached=2)).holds(3, PAGESIZE - 1, 2)
    assert not PageCache(answering(0, cached=1)).holds(3, PAGESIZE - 1, 2)
    assert PageCache(answering(0, cached=1)).holds(3, PAGESIZE, PAGESIZE)


def test_a_system_that_does_not_answer_is_not_believed() -> None:
    cache = PageCache(answering(-1, cached=1))
    assert cache.knows
    assert not cache.holds(3, 0, 1)
    assert not cache.knows
