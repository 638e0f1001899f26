import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from random import Random

import pytest
from ottla.broker.flusher import Flusher
from ottla.protocol.errors import KafkaError
from ottla.storage.config import LogConfig
from ottla.storage.log import Flush, Log
from support.batches import batch
from support.power_cut import PowerCutFiles


def with_a_log(test: Callable[[Flusher, Log, PowerCutFiles], Awaitable[None]]) -> None:
    async def run() -> None:
        files = PowerCutFiles()
        files.make_directory("/data/t-0")
        flusher = Flusher()
        await test(flusher, Log.open("/data/t-0", files=files, config=LogConfig(), now_ms=0, clean=False), files)
        await flusher.close()

    asyncio.run(run())


def append(log: Log, *values: bytes) -> int:
    """Append one batch and return the offset behind it."""
    return log.append(memoryview(batch(*values)), leader_epoch=0, now_ms=0).last_offset + 1


def test_who_waits_is_told_when_the_bytes_are_on_the_disk() -> None:
    async def test(flusher: Flusher, log: Log, files: PowerCutFiles) -> None:
        end_offset = append(log, b"a")
        told: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        flusher.wait(log, end_offset, told.set_result)
        assert await told is None
        assert log.recovery_point == end_offset

    with_a_log(test)


def test_it_counts_what_became_durable() -> None:
    async def test(flusher: Flusher, log: Log, files: PowerCutFiles) -> None:
        append(log, b"a")
        appended_bytes = log.size_bytes
        await flusher.flush(log)
        assert flusher.flushed_bytes == appended_bytes
        await flusher.flush(log)
        append(log, b"b", b"c")
        await flusher.flush(log)
        assert flusher.flushed_bytes == log.size_bytes > appended_bytes

    with_a_log(test)


def test_all_that_is_appended_in_one_round_shares_one_sync() -> None:
    async def test(flusher: Flusher, log: Log, files: PowerCutFiles) -> None:
        begun = 0
        begin = log.begin_flush

        class Counted:
            """The log, with its flushes counted."""

            def __getattr__(self, name: str) -> object:
                return getattr(log, name)

            def begin_flush(self) -> object:
                nonlocal begun
                begun += 1
                return begin()

        counted = Counted()
        told: list[Exception | None] = []
        for value in (b"a", b"b", b"c"):
            flusher.wait(counted, append(log, value), told.append)  # type: ignore[arg-type]
        await flusher.settled()
        assert (told, begun) == ([None, None, None], 1)

    with_a_log(test)


def test_what_is_appended_while_a_sync_runs_waits_for_the_next() -> None:
    async def test(flusher: Flusher, log: Log, files: PowerCutFiles) -> None:
        told: list[str] = []

        def first(error: Exception | None) -> None:
            told.append(f"first {error}")
            flusher.wait(log, append(log, b"b"), lambda error: told.append(f"second {error}"))

        flusher.wait(log, append(log, b"a"), first)
        await flusher.settled()
        assert told == ["first None", "second None"]
        assert log.recovery_point == 2

    with_a_log(test)


def test_a_failed_sync_is_told_to_all_and_poisons_the_log() -> None:
    async def test(flusher: Flusher, log: Log, files: PowerCutFiles) -> None:
        files.fail_next_sync(Random(1))
        told: list[Exception | None] = []
        flusher.wait(log, append(log, b"a"), told.append)
        flusher.wait(log, append(log, b"b"), told.append)
        await flusher.settled()
        assert [isinstance(error, OSError) for error in told] == [True, True]
        with pytest.raises(KafkaError):
            append(log, b"c")

    with_a_log(test)


def test_what_a_failed_sync_held_is_let_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failed(OSError):
        pass

    failures = [Failed()]  # in no frame that it would itself hold
    failure = weakref.ref(failures[0])

    def fail(flush: Flush) -> None:
        raise failures.pop()

    async def test(flusher: Flusher, log: Log, files: PowerCutFiles) -> None:
        monkeypatch.setattr(Flush, "run", fail)
        append(log, b"a")
        gc.disable()
        try:
            flusher.flush_soon(log)
            await flusher.close()  # the thread has left the frame in which it was raised, too
            assert log.poisoned is not None
            assert failure() is None, "its frames hold the descriptor"
        finally:
            gc.enable()

    with_a_log(test)


def test_who_waits_on_a_poisoned_log_is_told_why() -> None:
    async def test(flusher: Flusher, log: Log, files: PowerCutFiles) -> None:
        files.fail_next_sync(Random(1))
        end_offset = append(log, b"a")
        flusher.flush_soon(log)
        await flusher.settled()
        with pytest.raises(KafkaError):
            await asyncio.wait_for(flusher.flush(log), 60)
        assert end_offset == 1

    with_a_log(test)


def test_a_wait_past_its_deadline_is_told_so_and_only_it() -> None:
    async def test(flusher: Flusher, log: Log, files: PowerCutFiles) -> None:
        told: list[str] = []
        end_offset = append(log, b"a")
        flusher.wait(log, end_offset, lambda error: told.append(f"late {type(error).__name__}"), deadline=1.0)
        flusher.wait(log, end_offset, lambda error: told.append(f"patient {error}"), deadline=3.0)
        flusher.expire(2.0)
        assert told == ["late TimeoutError"]
        await flusher.settled()
        assert told == ["late TimeoutError", "patient None"]

    with_a_log(test)


def test_who_waits_for_a_disk_that_hangs_is_told_at_the_deadline() -> None:
    async def run() -> None:
        files, goes_on = PowerCutFiles(), threading.Event()
        files.make_directory("/data/t-0")
        log = Log.open("/data/t-0", files=files, config=LogConfig(), now_ms=0, clean=False)
        flusher = Flusher(expiry_period_s=0.001)
        begin = log.begin_flush

        class Hanging:
            """The log, whose syncs wait for `goes_on`."""

            def __getattr__(self, name: str) -> object:
                return getattr(log, name)

            def begin_flush(self) -> object:
                flush = begin()
                assert flush is not None
                return HangingFlush(flush, goes_on)

        told: list[asyncio.Future[Exception | None]] = [asyncio.get_running_loop().create_future() for _ in range(3)]
        patient, *hurried = told
        hanging, end_offset, now = Hanging(), append(log, b"a"), asyncio.get_running_loop().time()
        flusher.wait(hanging, end_offset, patient.set_result)  # type: ignore[arg-type]
        for soon, each in enumerate(hurried):
            flusher.wait(hanging, end_offset, each.set_result, deadline=now + soon / 100)  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            assert [type(await each) for each in hurried] == [TimeoutError] * 2
            assert not patient.done()
            goes_on.set()
            assert await patient is None
        await flusher.close()

    asyncio.run(run())


def test_many_logs_are_synced_and_a_bug_of_one_who_is_told_is_no_concern_of_the_others() -> None:
    async def run() -> None:
        files, flusher, loop = PowerCutFiles(), Flusher(), asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
        raised: list[BaseException] = []
        told: list[Exception | None] = []
        for index in range(40):
            files.make_directory(f"/data/t-{index}")
            log = Log.open(f"/data/t-{index}", files=files, config=LogConfig(), now_ms=0, clean=False)
            if not index % 4:
                flusher.wait(log, log.log_end_offset + 1, _fail)
            flusher.wait(log, append(log, b"a"), told.append)
        async with asyncio.timeout(60):
            while len(told) + len(raised) < 50:  # noqa: ASYNC110 - the loop's own rounds are what is tried here
                await asyncio.sleep(0)
        assert (len(told), len(raised)) == (40, 10)
        assert told == [None] * 40
        await flusher.close()

    asyncio.run(run())


def _fail(error: Exception | None) -> None:
    raise RuntimeError("a bug")


class HangingFlush:
    """A flush that waits in its thread until it may go on."""

    def __init__(self, flush: Flush, goes_on: threading.Event) -> None:
        self._flush = flush
        self._goes_on = goes_on

    def __getattr__(self, name: str) -> object:
        return getattr(self._flush, name)

    def run(self) -> None:
        assert self._goes_on.wait(60)
        self._flush.run()


def test_nothing_to_sync_is_told_at_once() -> None:
    async def test(flusher: Flusher, log: Log, files: PowerCutFiles) -> None:
        await asyncio.wait_for(flusher.flush(log), 60)

    with_a_log(test)
