"""Producer ids are given once, across restarts and whoever asks at the same time."""

from __future__ import annotations

import asyncio

from ottla.broker.catalog import Catalog
from ottla.broker.catalog_machine import CatalogMachine
from ottla.broker.flusher import Flusher
from ottla.broker.journal import Journal
from ottla.broker.producer_ids import BLOCK_SIZE, ProducerIds
from support.journals import FOLDER, StandingClock
from support.power_cut import PowerCutFiles


def take(files: PowerCutFiles, count: int, *, together: bool = False) -> list[int]:
    """Take ids in one life of a node."""

    async def run() -> list[int]:
        catalog, flusher = Catalog(), Flusher()
        journal = Journal.open(FOLDER, CatalogMachine(catalog), files=files, now_ms=0)
        journal.start(flusher, StandingClock())
        ids = ProducerIds(journal, catalog, node_id=1)
        if together:
            taken = list(await asyncio.gather(*(ids.take() for _ in range(count))))
        else:
            taken = [await ids.take() for _ in range(count)]
        await journal.close()
        await flusher.close()
        return taken

    return asyncio.run(run())


def new_disk() -> PowerCutFiles:
    files = PowerCutFiles()
    files.make_directory("/data")
    return files


def test_ids_are_counted_from_0() -> None:
    assert take(new_disk(), 3) == [0, 1, 2]


def test_a_block_that_is_used_up_is_followed_by_the_next() -> None:
    assert take(new_disk(), BLOCK_SIZE + 2) == list(range(BLOCK_SIZE + 2))


def test_a_restart_begins_a_new_block() -> None:
    files = new_disk()
    assert take(files, 1) == [0]
    assert take(files, 1) == [BLOCK_SIZE]


def test_many_who_ask_at_once_share_one_block() -> None:
    assert sorted(take(new_disk(), 50, together=True)) == list(range(50))
