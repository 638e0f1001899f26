"""The transaction index: its bytes, and which aborted transactions a range of offsets gets."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.txn_index import AbortedTransaction, TransactionIndex
from support.power_cut import PowerCutFiles

PATH = "/data/t-0/00000000000000000000.txnindex"

# Written by Apache Kafka's AbortedTxn: version 0, producer 5, records from 2 on, marker at 7, last stable offset 8.
KAFKAS = bytes.fromhex("00000000000000000005000000000000000200000000000000070000000000000008")


@pytest.fixture
def files() -> PowerCutFiles:
    files = PowerCutFiles()
    files.make_directory("/data/t-0")
    return files


def index_of(files: PowerCutFiles) -> TransactionIndex:
    return TransactionIndex(files.open(PATH), 0)


def filled(files: PowerCutFiles, count: int) -> TransactionIndex:
    """Transactions of ten offsets each: records 0 to 8 and the marker 9, records 10 to 18 and the marker 19 ..."""
    index = index_of(files)
    for number in range(count):
        index.append(AbortedTransaction(number, 10 * number, 10 * number + 9, 10 * number + 10))
    index.write()
    return index


def test_an_entry_is_kafkas_34_bytes(files: PowerCutFiles) -> None:
    index = index_of(files)
    index.append(AbortedTransaction(5, 2, 7, 8))
    index.write()
    assert files.read_bytes(PATH) == KAFKAS
    assert list(index_of(files).entries()) == [AbortedTransaction(5, 2, 7, 8)]


def test_nothing_aborted_makes_no_file(files: PowerCutFiles) -> None:
    index = index_of(files)
    assert index.between(0, 100) == ([], False)
    index.truncate(0)
    index.write()
    assert not files.exists(PATH)


@pytest.mark.parametrize("count", [3, 2000])
def test_a_range_gets_those_that_reach_into_it(files: PowerCutFiles, count: int) -> None:
    index = filled(files, count)
    found, is_all = index.between(9, 11)
    assert [each.producer_id for each in found] == [0, 1]  # the marker of the first is in it
    assert is_all
    found, is_all = index.between(10 * count - 5, 10 * count + 5)
    assert [each.producer_id for each in found] == [count - 1]
    assert not is_all  # its last stable offset has not got there: the next segment may have more


def test_a_search_ends_where_everything_in_front_of_the_range_was_decided(files: PowerCutFiles) -> None:
    index = index_of(files)
    index.append(AbortedTransaction(1, 5, 8, 2))  # when this was aborted, another was open from 2 on
    index.append(AbortedTransaction(2, 2, 12, 13))
    index.append(AbortedTransaction(3, 3, 20, 21))
    found, is_all = index.between(0, 4)
    assert [each.producer_id for each in found] == [2]
    assert is_all


def test_truncating_forgets_the_markers_from_there_on(files: PowerCutFiles) -> None:
    index = filled(files, 4)
    index.truncate(29)
    assert [each.producer_id for each in index.entries()] == [0, 1]
    index.append(AbortedTransaction(9, 20, 29, 30))
    index.write()
    assert [each.producer_id for each in index_of(files).entries()] == [0, 1, 9]


def test_a_torn_last_entry_is_written_over(files: PowerCutFiles) -> None:
    filled(files, 2)
    files.open(PATH).write(b"\1\2\3", 68)
    index = index_of(files)
    index.append(AbortedTransaction(2, 20, 29, 30))
    index.write()
    assert files.size(PATH) == 3 * 34


@given(st.integers(0, 120), st.integers(0, 60), st.randoms(use_true_random=False))
def test_a_lookup_is_what_looking_at_every_entry_gives(offset: int, length: int, randomness: Random) -> None:
    files = PowerCutFiles()
    files.make_directory("/data/t-0")
    index = index_of(files)
    entries = []
    last = 0
    for number in range(randomness.randrange(20)):
        last += randomness.randint(1, 9)
        entries.append(AbortedTransaction(number, randomness.randrange(last), last, last + 1))
    for each in entries:
        index.append(each)
        if randomness.random() < 0.5:
            index.write()
    found, _ = index.between(offset, offset + length)
    expected = [each for each in entries if each.last_offset >= offset and each.first_offset < offset + length]
    ends = next(
        (at for at, each in enumerate(entries) if each.last_offset >= offset and each[3] >= offset + length), 99
    )
    assert found == [each for each in expected if entries.index(each) <= ends]
