"""File names in a partition's folder, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.names import FileName, Kind, Mark, file_name, parse_file_name


def test_a_name_has_twenty_digits_so_that_names_sort_as_offsets_do() -> None:
    assert file_name(368769, Kind.LOG) == "00000000000000368769.log"
    assert file_name(0, Kind.TIME_INDEX, Mark.DELETED) == "00000000000000000000.timeindex.deleted"
    assert file_name(2**63 - 1, Kind.SNAPSHOT) == "09223372036854775807.snapshot"


@given(st.builds(FileName, st.integers(0, 2**63 - 1), st.sampled_from(Kind), st.sampled_from(Mark)))
def test_what_is_written_is_read(name: FileName) -> None:
    assert parse_file_name(file_name(*name)) == name


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
