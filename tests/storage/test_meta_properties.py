"""`meta.properties` and the clean-shutdown marker, as Apache Kafka 4.3.1 writes them."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.storage import clean_shutdown, meta_properties
from ottla.storage.checkpoint import CorruptCheckpoint
from ottla.storage.meta_properties import MetaProperties, decode, encode
from ottla.storage.system_files import SystemFiles

KAFKA_BYTES = b"""#
#Mon Nov 23 08:08:57 UTC 2026
node.id=1
directory.id=DaVG6qyWSzmOgUU0EnbG-Q
version=1
cluster.id=MkU3OEVBNTcwNTJENDM2Qg
"""
KAFKA_PROPERTIES = MetaProperties(
    cluster_id="MkU3OEVBNTcwNTJENDM2Qg",
    node_id=1,
    directory_id=UUID("0da546ea-ac96-4b39-8e81-45341276c6f9"),
)


def test_what_kafka_writes_is_understood():
    assert decode(KAFKA_BYTES, path="f") == KAFKA_PROPERTIES


def test_what_we_write_is_the_plain_form():
    assert encode(KAFKA_PROPERTIES) == (
        b"#\nversion=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nnode.id=1\ndirectory.id=DaVG6qyWSzmOgUU0EnbG-Q\n"
    )


@given(
    st.text("abc=:# !\\-_é", min_size=1).filter(lambda text: text == text.strip()),
    st.integers(0, 2**31 - 1),
    st.none() | st.uuids(),
)
def test_any_identity_survives(cluster_id: str, node_id: int, directory_id: UUID | None):
    properties = MetaProperties(cluster_id=cluster_id, node_id=node_id, directory_id=directory_id)
    assert decode(encode(properties), path="f") == properties


def test_keys_of_others_are_kept():
    with_more = decode(KAFKA_BYTES + b"some.other\\:key : a\\u0062c\n", path="f")
    assert with_more.others == {"some.other:key": "abc"}
    assert decode(encode(with_more), path="f") == with_more


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (b"", "is of version None"),
        (b"version=0\nbroker.id=1\n", "is of version 0"),
        (b"version=1\nnode.id=1\n", "lacks cluster.id or node.id"),
        (b"version=1\ncluster.id=x\nnode.id=one\n", "has 'one' where a number"),
        (b"version=1\ncluster.id=x\nnode.id=1\ndirectory.id=short\n", "bad directory.id"),
        (b"\0\0\0\n", "malformed line"),
    ],
)
def test_damage_is_named(damaged: bytes, why: str):
    with pytest.raises(CorruptCheckpoint, match=why):
        decode(damaged, path="f")


def test_it_is_kept_in_a_file(tmp_path):
    files, path = SystemFiles(), str(tmp_path / meta_properties.FILE_NAME)
    assert meta_properties.read(files, path) is None
    meta_properties.write(files, path, KAFKA_PROPERTIES)
    assert meta_properties.read(files, path) == KAFKA_PROPERTIES


def test_the_clean_shutdown_marker_counts_once(tmp_path):
    files, directory = SystemFiles(), str(tmp_path)
    assert not clean_shutdown.take(files, directory)
    clean_shutdown.put(files, directory, broker_epoch=12)
    assert (tmp_path / ".kafka_cleanshutdown").read_bytes() == b'{"version":0,"brokerEpoch":12}'
    assert clean_shutdown.take(files, directory)
    assert not clean_shutdown.take(files, directory)
