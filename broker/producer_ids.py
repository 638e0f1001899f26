"""Producer ids: given out one by one, from blocks that are written down whole.

    catalog: next_producer_id = 3000       the journal knows that everything below is taken, by some node
    this node: 2000 .. 2999                its block; what of it was not given out before a restart is never given out

So an id costs no write of its own, and none is given twice. Kafka's class: `RPCProducerIdManager`, with the same
block size.
"""

from __future__ import annotations

import asyncio

from .catalog import Catalog
from .catalog_records import CatalogRecord, ProducerIdsAllocated
from .journal import Journal

BLOCK_SIZE = 1000


class ProducerIds:
    """The ids this node may give out. Owned by the loop."""

    def __init__(self, journal: Journal[CatalogRecord], catalog: Catalog, *, node_id: int) -> None:
        self._journal = journal
        self._catalog = catalog
        self._node_id = node_id
        self._block = iter(range(0))
        self._refill = asyncio.Lock()

    async def take(self) -> int:
        """An id that no producer has had. KafkaError when a new block was needed and could not be written down."""
        taken = next(self._block, None)
        while taken is None:
            async with self._refill:
                taken = next(self._block, None)
                if taken is None:
                    first = await self._journal.decide(self._allocate)
                    self._block = iter(range(first, first + BLOCK_SIZE))
                    taken = next(self._block)
        return taken

    def _allocate(self) -> tuple[list[CatalogRecord], int]:
        first = self._catalog.next_producer_id
        return [ProducerIdsAllocated(self._node_id, first + BLOCK_SIZE)], first
