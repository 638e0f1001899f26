"""What happens by the clock, each duty performed when the test wants it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ottla.broker import housekeeping
from ottla.storage.checkpoint import TopicPartition, read_offsets
from ottla.storage.system_files import SystemFiles
from support.asking import Asker, with_broker


def test_checkpoints_are_kept_sooner_where_much_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "MOST_UNNOTED_BYTES", 1000)

    async def test(ask: Asker) -> None:
        await ask.create("t")
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        (duty,) = [each for each in ask.broker.housekeeping.duties if each.name == "checkpoints under load"]

        async def noted_after(size_bytes: int) -> int:
            ask.append("t", b"v" * size_bytes)
            await ask.broker.flusher.flush(partition.log)
            await duty.perform()
            return recovery_points(tmp_path).get(("t", 0), 0)

        assert await noted_after(500) == 0
        assert await noted_after(500) == 2
        assert await noted_after(500) == 2, "counted anew from there"
        assert await noted_after(500) == 4

    with_broker(tmp_path, test)


def recovery_points(directory: Path) -> dict[TopicPartition, int]:
    return read_offsets(SystemFiles(), str(directory / "recovery-point-offset-checkpoint"))
