"""The examples in docs/format-*.md are what the code writes: one small directory, held against the pages."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from ottla.storage.config import LogConfig
from ottla.storage.directory import LogDirectory
from support.batches import batch
from support.power_cut import PowerCutFiles

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = "/data/orders-0"


@pytest.fixture(scope="module")
def files() -> PowerCutFiles:
    """Four batches of two records each, a second apart, in two leader epochs; closed."""
    files = PowerCutFiles()
    directory = LogDirectory.open(
        "/data",
        files=files,
        node_id=1,
        cluster_id="MkU3OEVBNTcwNTJENDM2Qg",
        new_id=lambda: UUID("0da546ea-ac96-4b39-8e81-45341276c6f9"),
        now_ms=0,
    )
    config = LogConfig(index_interval_bytes=100)
    directory.load(lambda topic: config, now_ms=0)
    topic_id = UUID("6b3fc217-8862-4394-ba99-21aae2236fb0")
    log = directory.create_log("orders", 0, topic_id, config, now_ms=0)
    for number in range(4):
        made = batch(
            b"x" * 50,
            b"y" * 50,
            timestamp=1_700_000_000_000 + number * 1000,
            producer_id=7,
            producer_epoch=0,
            base_sequence=2 * number,
        )
        log.append(memoryview(made), leader_epoch=3 if number else 2, now_ms=0)
    assert directory.close() == []
    return files


def examples(page: str) -> list[str]:
    """The fenced blocks of a page."""
    return [block.strip("\n") + "\n" for block in (DOCS / page).read_text(encoding="utf-8").split("```")[1::2]]


def hex_of(example: str) -> bytes:
    return bytes.fromhex("".join(line.split("   ")[0] for line in example.splitlines()))


def indented(page: str, first_line: str) -> str:
    """The indented block that begins with `first_line`."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    start = lines.index(f"    {first_line}")
    end = lines.index("", start)
    return "".join(line.removeprefix("    ") + "\n" for line in lines[start:end])


def test_the_segments_indexes(files: PowerCutFiles):
    *_, index, time_index = examples("format-segment.md")
    assert hex_of(index) == files.read_bytes(f"{FOLDER}/{0:020d}.index")
    assert hex_of(time_index) == files.read_bytes(f"{FOLDER}/{0:020d}.timeindex")
    assert files.size(f"{FOLDER}/{0:020d}.log") == 700


def test_the_producer_snapshot(files: PowerCutFiles):
    (snapshot,) = examples("format-producer-snapshot.md")
    assert hex_of(snapshot) == files.read_bytes(f"{FOLDER}/{8:020d}.snapshot")


def test_the_small_files(files: PowerCutFiles):
    _, epochs, metadata = examples("format-checkpoints.md")
    assert epochs.encode() == files.read_bytes(f"{FOLDER}/leader-epoch-checkpoint")
    assert metadata.strip().encode() == files.read_bytes(f"{FOLDER}/partition.metadata")
    assert indented("format-log-directory.md", "#").encode() == files.read_bytes("/data/meta.properties")
    marker = indented("format-log-directory.md", '{"version":0,"brokerEpoch":-1}').strip()
    assert marker.encode() == files.read_bytes("/data/.kafka_cleanshutdown")


def test_the_tree_shows_every_file_there_is(files: PowerCutFiles):
    (tree,) = examples("format-log-directory.md")
    for name in files.list_files("/data"):
        assert f"── {name} " in tree
    for name in files.list_files(FOLDER):
        assert name in tree or Path(name).suffix in tree
