"""The client without asyncio: in a thread, in many, and against a real broker."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from ottla.client.admin import NewTopic, OffsetSpec, TopicPartition
from ottla.client.background import BackgroundLoop, background
from ottla.client.errors import CannotConnect, ClientClosed
from ottla.sync import Admin, Consumer, Producer
from support.broker import BrokerProcess, environment

DEADLINE_S = 60


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("broker"), {"num.partitions": "1"}) as running:
        yield running


def test_records_are_sent_from_a_script(broker: BrokerProcess) -> None:
    with Producer[str, bytes](broker.bootstrap, key_serializer=str.encode) as producer:
        sent = producer.send("script", b"a", "key")
        written = producer.send_and_wait("script", b"b")
        batch = producer.send_batch((b"%d" % number for number in range(25_000)), "script")
        producer.flush()

        assert sent.done()
        assert (sent.result().offset, written.offset) == (0, 1)
        assert batch.count == sum(each.count for each in batch.result()) == 25_000
        assert batch.result()[0].offset == 2
        assert producer.partitions_for("script") == {0}
    with pytest.raises(ClientClosed):
        producer.send("script", b"x")


def test_many_threads_share_a_producer(broker: BrokerProcess) -> None:
    with Producer[bytes, bytes](broker.bootstrap) as producer, ThreadPoolExecutor(8) as pool:
        offsets = list(pool.map(lambda number: producer.send_and_wait("threads", b"%d" % number).offset, range(200)))

    assert sorted(offsets) == list(range(200))


def test_an_administrator_waits_for_each_answer(broker: BrokerProcess) -> None:
    with Admin(broker.bootstrap) as admin:
        admin.create_topics([NewTopic("made", partitions=3)])

        assert len(admin.describe_topics(["made"])["made"].partitions) == 3
        assert "create_topics" in dir(admin)
        with pytest.raises(AttributeError):
            _ = admin.no_such_method


def test_records_are_read_in_a_script(broker: BrokerProcess) -> None:
    with Producer[bytes, bytes](broker.bootstrap) as producer:
        producer.send_batch([b"%d" % number for number in range(50)], "read")
    with Consumer[bytes, bytes]("read", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest") as consumer:
        first = next(consumer)
        many = consumer.getmany(timeout_ms=60_000)

        assert first.value == b"0"
        assert next(record.value for records in many.values() for record in records) == b"1"
        assert consumer.subscription() == {"read"}
        consumer.pause(*consumer.assignment())
        assert consumer.paused() == consumer.assignment()


FORGETFUL = """
from ottla.sync import Producer

Producer({bootstrap!r}).send_batch([b"x" * 1_000] * 20_000, "forgotten")
"""


def test_what_a_script_has_sent_is_delivered_though_it_forgets_to_stop(broker: BrokerProcess) -> None:
    script = FORGETFUL.format(bootstrap=broker.bootstrap)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, env=environment()
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    with Admin(broker.bootstrap) as admin:
        here = TopicPartition("forgotten", 0)
        assert admin.list_offsets({here: OffsetSpec.LATEST})[here].offset == 20_000


def test_nobody_there_is_said_as_always() -> None:
    with pytest.raises(CannotConnect, match=r"nowhere\.invalid"):
        Producer("nowhere.invalid:1", request_timeout_ms=200, delivery_timeout_ms=300)


def test_a_wait_has_an_end_and_never_waits_for_itself() -> None:
    with pytest.raises(TimeoutError):
        background().run(asyncio.sleep(60), 0.01)

    async def in_the_loop() -> None:
        background().run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="cannot be used in a callback"):
        background().run(in_the_loop())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_threads_that_are_the_first_together_share_one_loop() -> None:
    together, interval_s = Barrier(16), sys.getswitchinterval()

    def first(_: int) -> BackgroundLoop:
        together.wait()
        return background()

    def loops() -> int:
        sys.setswitchinterval(1e-6)
        with ThreadPoolExecutor(16) as pool:
            return len(set(pool.map(first, range(16))))

    assert in_a_child(lambda: loops() == 1)
    assert sys.getswitchinterval() == interval_s


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_what_was_made_before_a_fork_says_so_and_the_child_makes_its_own(broker: BrokerProcess) -> None:
    with Producer[bytes, bytes](broker.bootstrap) as producer:

        def in_the_child() -> bool:
            with pytest.raises(RuntimeError, match="made before a fork"):
                producer.send("forked", b"lost")
            with Producer[bytes, bytes](broker.bootstrap) as own:
                return own.send_and_wait("forked", b"child").offset == 0

        assert in_a_child(in_the_child)
        assert producer.send_and_wait("forked", b"parent").offset == 1


def in_a_child(test: Callable[[], bool]) -> bool:
    """Whether it holds in a forked process, which is ended when it hangs."""
    child = os.fork()
    if child == 0:
        signal.alarm(DEADLINE_S)
        holds = False
        try:
            holds = test()
        finally:
            os._exit(0 if holds else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
