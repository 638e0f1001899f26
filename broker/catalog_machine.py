"""The catalog as a journal's machine: its records as bytes, and bytes as records."""

from __future__ import annotations

from collections.abc import Iterator

from .catalog import Catalog
from .catalog_records import CatalogRecord, decode_record, encode_record


class CatalogMachine:
    """What a `Journal` needs to know of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def encode(self, record: CatalogRecord) -> bytes:
        return encode_record(record)

    def decode(self, data: bytes) -> CatalogRecord:
        return decode_record(data)

    def apply(self, record: CatalogRecord) -> None:
        self.catalog.apply(record)

    def snapshot(self) -> Iterator[CatalogRecord]:
        return self.catalog.snapshot()
