"""Where a record goes: as Java's clients put it, and evenly without a key."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as kafka_python_murmur2
from ottla.client.partitioner import StickyPartition, murmur2, partition_for_key


@pytest.mark.parametrize(
    ("key", "java"),
    [  # UtilsTest.testMurmur2 of Apache Kafka
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_javas(key: bytes, java: int) -> None:
    assert murmur2(key) == java % 2**32


@given(st.binary(max_size=100))
def test_murmur2_is_that_of_other_clients(key: bytes) -> None:
    assert murmur2(key) == kafka_python_murmur2(key) & 0xFFFFFFFF


@given(st.binary(max_size=20), st.integers(1, 1000))
def test_a_key_always_goes_to_the_same_of_the_partitions(key: bytes, count: int) -> None:
    assert 0 <= partition_for_key(key, count) < count
    assert partition_for_key(key, count) == partition_for_key(bytes(key), count)


def test_without_a_key_the_partition_stays_until_a_batch_is_full() -> None:
    sticky = StickyPartition(switch_after_bytes=100, random=Random(1))
    first = sticky.current([0, 1, 2], {})

    sticky.produced(99, [0, 1, 2], {})

    assert sticky.current([0, 1, 2], {}) == first


def test_all_partitions_get_their_share() -> None:
    sticky = StickyPartition(switch_after_bytes=100, random=Random(1))
    shares: Counter[int] = Counter()
    for _ in range(3000):
        shares[sticky.current([0, 1, 2], {})] += 1
        sticky.produced(100, [0, 1, 2], {})

    assert all(800 < share < 1200 for share in shares.values())


def test_a_long_queue_is_drawn_less_often() -> None:
    sticky = StickyPartition(switch_after_bytes=1, random=Random(1))
    shares: Counter[int] = Counter()
    for _ in range(3000):
        sticky.produced(1, [0, 1], {0: 9, 1: 0})
        shares[sticky.current([0, 1], {0: 9})] += 1

    assert shares[1] > 5 * shares[0]


def test_a_partition_that_lost_its_leader_is_left() -> None:
    sticky = StickyPartition(switch_after_bytes=100, random=Random(1))
    sticky.current([0], {})

    assert sticky.current([1], {}) == 1
