"""File names in a partition's folder, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.names import FileName, Kind, Mark, file_name, parse_file_name, replaced_name


def test_a_name_has_twenty_digits_so_that_names_sort_as_offsets_do() -> None:
    assert file_name(368769, Kind.LOG) == "00000000000000368769.log"
    assert file_name(0, Kind.TIME_INDEX, Mark.DELETED) == "00000000000000000000.timeindex.deleted"
    assert file_name(2**63 - 1, Kind.SNAPSHOT) == "09223372036854775807.snapshot"


MARKS = [mark for mark in Mark if mark is not Mark.REPLACED]


@given(st.builds(FileName, st.integers(0, 2**63 - 1), st.sampled_from(Kind), st.sampled_from(MARKS)))
def test_what_is_written_is_read(name: FileName) -> None:
    assert parse_file_name(file_name(*name)) == name


def test_what_compaction_replaces_gets_a_number_so_that_the_name_is_free_for_the_next_time() -> None:
    assert replaced_name(7, Kind.LOG, 12) == "00000000000000000007.log.12.deleted"
    assert parse_file_name("00000000000000000007.log.12.deleted") == FileName(7, Kind.LOG, Mark.REPLACED)


@pytest.mark.parametrize(
    "name",
    [
        "leader-epoch-checkpoint",
        "partition.metadata",
        "0.log",
        "0000000000000000000x.log",
        "00000000000000000000.log.bak",
        "00000000000000000000.",
        "٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠.log",
        "00000000000000000000.log.deleted.deleted",
    ],
)
def test_other_names_are_not_ours(name: str) -> None:
    assert parse_file_name(name) is None
