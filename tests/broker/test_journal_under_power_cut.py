"""A journal on a disk that loses power at any moment, twice in a row.

Records are appended one batch after the other and several at once, snapshots are taken all the time, segments are
small. The power goes during any change of the disk: within an append, a sync, a snapshot, the dropping of old
segments, or during the recovery from the cut before. Whatever is found when it is back:

- every batch whose append had returned is there;
- nothing is there but batches that were appended, in order, none left out, none in part;
- the machine has applied exactly that, whether it began from a snapshot or not.

OTTLA_HEAVY=1 tries many more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.broker.flusher import Done
from ottla.broker.journal import Journal
from ottla.storage.config import LogConfig
from ottla.storage.log import Log
from support.journals import Sequence, open_journal, started, words_of
from support.power_cut import PowerCutFiles, PowerLost

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
CONFIG = LogConfig(segment_bytes=500, retention_ms=-1, file_delete_delay_ms=0)
SNAPSHOT_AFTER_BYTES = 400
BATCHES_AT_MOST = 60


class InlineFlusher:
    """Group commit without threads: a sync happens in the round after the append, and may be where the power goes."""

    def __init__(self, lost: asyncio.Future[None]) -> None:
        self._lost = lost
        self._waiting: list[tuple[int, Done]] = []
        self._log: Log

    def wait(self, log: Log, end_offset: int, done: Done) -> None:
        self._log = log
        self._waiting.append((end_offset, done))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self._log.flush()
        except PowerLost:
            self._lost.set_result(None)
            return
        for end_offset, done in waiting:
            assert end_offset <= self._log.recovery_point
            done(None)


@dataclass
class History:
    """What was given to the journal, batch by batch, and how many batches are known to be there."""

    batches: list[list[str]] = field(default_factory=list)
    acknowledged: int = 0

    def new_batch(self, size: int) -> list[str]:
        number = len(self.batches)
        batch = [f"word {number}.{place}" for place in range(size)]
        self.batches.append(batch)
        return batch

    def check(self, words: list[str]) -> None:
        """Take `words`, found after a cut, for what is there from now on."""
        count, length = 0, 0
        while length < len(words):
            length += len(self.batches[count])
            count += 1
        assert words == [word for batch in self.batches[:count] for word in batch]
        assert count >= self.acknowledged, "an acknowledged batch is gone"
        del self.batches[count:]
        self.acknowledged = count


async def append_until_the_power_goes(files: PowerCutFiles, history: History, random: Random) -> None:
    lost = asyncio.get_running_loop().create_future()
    journal = started(  # the recovery, too, may be where the power goes
        open_journal(files, config=CONFIG, snapshot_after_bytes=SNAPSHOT_AFTER_BYTES),
        InlineFlusher(lost),  # type: ignore[arg-type]
    )
    history.check(words_of(journal))
    appending = asyncio.ensure_future(append(journal, history, random))
    await asyncio.wait([appending, lost], return_when=asyncio.FIRST_COMPLETED)
    if appending.done():
        appending.result()
    appending.cancel()
    await asyncio.gather(appending, return_exceptions=True)


async def append(journal: Journal[str], history: History, random: Random) -> None:
    for _ in range(BATCHES_AT_MOST):
        known = len(history.batches)
        batches = [history.new_batch(random.randint(1, 4)) for _ in range(random.randint(1, 3))]
        await asyncio.gather(*(journal.append(batch) for batch in batches))
        history.acknowledged = known + len(batches)


@settings(max_examples=3000 if HEAVY else 150, deadline=None)
@given(cuts=st.lists(st.integers(1, 250), min_size=1, max_size=3), seed=st.integers(0, 2**32))
def test_no_cut_loses_or_tears_what_was_acknowledged(cuts: list[int], seed: int) -> None:
    random, history = Random(seed), History()
    files = PowerCutFiles()
    files.make_directory("/data")
    files.sync_directory("/")
    for cut in cuts:
        files.cut_after(cut)
        with contextlib.suppress(PowerLost):
            asyncio.run(append_until_the_power_goes(files, history, random))
        files = files.cut(random)
    machine = Sequence()
    journal = open_journal(files, machine, config=CONFIG)
    history.check(machine.words)
    assert journal.replay.damaged == (), "a snapshot has its name before it has its bytes"
