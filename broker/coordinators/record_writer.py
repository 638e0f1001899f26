"""One line to the journal: records reach it in the order in which they were decided, many with one sync.

    write(records, done) ...  --> the queue --> one append of all that is queued --> done(None), or done(why not)

While one append is on its way to the disk the next gathers, so under load a batch and its sync carry the records of many
requests, and a lone one waits for nothing. The order matters because turns are atomic and appends are not: a decision by
a timer must not be overtaken by the one of a request that saw its result.

`done` is called on the loop once the records are durable and applied, or never will be. The queue is bounded by who waits
for it: every request that writes holds its place until it is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...protocol.errors import ErrorCode, KafkaError
from ..journal import Journal
from ..telling import teller
from .group_records import GroupRecord

Done = Callable[[KafkaError | None], None]

MAX_RECORDS = 1000
"""So many records at most share an append; one that fails (a full disk) fails for all of them."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Wish:
    group_id: str
    records: Sequence[GroupRecord]
    done: Done | None


class RecordWriter:
    """Owns the queue and the task that empties it."""

    def __init__(self, journal: Journal[GroupRecord]) -> None:
        self._journal = journal
        self._queue: list[_Wish] = []
        self._task: asyncio.Task[None] | None = None
        self._under_way: Counter[str] = Counter()

    def write(self, group_id: str, records: Sequence[GroupRecord], done: Done | None = None) -> None:
        """Make durable; `done` is told. The group (or "" for all) is under way until then."""
        self._queue.append(_Wish(group_id, records, done))
        self._under_way[group_id] += 1
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._empty())

    async def written(self, group_id: str, records: Sequence[GroupRecord]) -> None:
        """Return when durable and applied; KafkaError if that fails. What is begun goes on if the caller is gone."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.write(group_id, records, teller(future))
        await future

    def is_under_way(self, group_id: str) -> bool:
        """Whether something of this group is decided and not yet applied."""
        return group_id in self._under_way

    @property
    def is_idle(self) -> bool:
        return self._task is None

    async def settled(self) -> None:
        """Return when everything written so far is done."""
        if self._task is not None:
            await self.written("", ())

    async def close(self) -> None:
        """Finish the queue."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _empty(self) -> None:
        try:
            while self._queue:
                batch = self._take()
                error = await self._append(batch)
                if error is not None and error.code is ErrorCode.RECORD_LIST_TOO_LARGE and len(batch) > 1:
                    # Together they exceed what one batch may have; that is no fault of any of them.
                    for wish in batch:
                        self._tell(wish, await self._append([wish]))
                else:
                    for wish in batch:
                        self._tell(wish, error)
        finally:
            self._task = None

    def _take(self) -> list[_Wish]:
        """As many as may share an append, at least one."""
        count = records = 0
        for wish in self._queue:
            records += len(wish.records)
            if count and records > MAX_RECORDS:
                break
            count += 1
        batch, self._queue = self._queue[:count], self._queue[count:]
        return batch

    async def _append(self, batch: Sequence[_Wish]) -> KafkaError | None:
        try:
            await self._journal.append([record for wish in batch for record in wish.records])
        except KafkaError as error:
            return error
        except Exception:
            # A bug of ours, or a disk that fails in a way nobody foresaw: those who wait must hear of it.
            log.exception("records of groups could not be written")
            return KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "records of groups could not be written")
        return None

    def _tell(self, wish: _Wish, error: KafkaError | None) -> None:
        self._under_way[wish.group_id] -= 1
        if not self._under_way[wish.group_id]:
            del self._under_way[wish.group_id]
        if wish.done is None:
            return
        try:
            wish.done(error)
        except Exception:
            # A bug of ours; the others who share the append are told nevertheless.
            log.exception("group %s: what follows on a record failed", wish.group_id)
