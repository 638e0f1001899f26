"""What a journal needs around it in a test: a small machine, a clock that stands, a disk in memory."""

from __future__ import annotations

from collections.abc import Iterator

from ottla.broker.flusher import Flusher
from ottla.broker.journal import Journal
from ottla.broker.journal_replay import JOURNAL_LOG_CONFIG
from ottla.storage.config import LogConfig
from ottla.storage.files import Files

FOLDER = "/data/__machine-0"


class Sequence:
    """A machine that remembers the words it was told, in order; `bad` words are no records, `poison` breaks it."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def encode(self, record: str) -> bytes:
        return record.encode()

    def decode(self, data: bytes) -> str:
        if data == b"bad":
            raise ValueError("bad is no word")
        return data.decode()

    def apply(self, record: str) -> None:
        assert record != "poison", "a record that cannot be applied"
        self.words.append(record)

    def snapshot(self) -> Iterator[str]:
        return iter(list(self.words))


class StandingClock:
    """A clock that always says the same."""

    def now_ms(self) -> int:
        return 1_700_000_000_000


def open_journal(
    files: Files,
    machine: Sequence | None = None,
    *,
    config: LogConfig = JOURNAL_LOG_CONFIG,
    snapshot_after_bytes: int = 2**40,
) -> Journal[str]:
    """A journal in FOLDER, recovered; not started."""
    return Journal.open(
        FOLDER,
        machine or Sequence(),
        files=files,
        now_ms=0,
        config=config,
        snapshot_after_bytes=snapshot_after_bytes,
    )


def started(journal: Journal[str], flusher: Flusher) -> Journal[str]:
    journal.start(flusher, StandingClock())
    return journal


def words_of(journal: Journal[str]) -> list[str]:
    machine = journal.machine
    assert isinstance(machine, Sequence)
    return machine.words
