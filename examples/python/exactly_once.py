"""Read, compute, write, commit: in one transaction, so that each order is invoiced once whatever is killed.

    python exactly_once.py --bootstrap 127.0.0.1:9092 --source orders --target invoices --group invoicing

Whoever reads the target with isolation_level="read_committed" sees a batch's invoices and the progress in the source
together, or neither.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from ottla import Consumer, Producer
from ottla.client.serializers import to_json

VAT_PERCENT = 21


def invoice(order: dict[str, Any]) -> dict[str, Any]:
    """What the customer is sent."""
    return {"order": order["order"], "cents": order["cents"] * (100 + VAT_PERCENT) // 100}


async def transform(bootstrap: str, source: str, target: str, group: str, count: int) -> None:
    consumer = Consumer(
        source,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        value_deserializer=json.loads,
    )
    producer = Producer(bootstrap_servers=bootstrap, transactional_id=f"{group}-1", value_serializer=to_json)
    done = 0
    async with consumer, producer:
        while done < count:
            batches = await consumer.getmany(timeout_ms=500, max_records=200)
            if not batches:
                continue
            async with producer.transaction():
                for records in batches.values():
                    for record in records:
                        await producer.send(target, invoice(record.value), key=record.key)
                offsets = {partition: records[-1].offset + 1 for partition, records in batches.items()}
                await producer.send_offsets_to_transaction(offsets, group)
            done += sum(map(len, batches.values()))
    print(f"{done} orders were invoiced")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--bootstrap", default="127.0.0.1:9092")
    words.add_argument("--source", default="orders")
    words.add_argument("--target", default="invoices")
    words.add_argument("--group", default="invoicing")
    words.add_argument("--count", type=int, default=1_000, help="stop after so many records")
    arguments = words.parse_args()
    asyncio.run(transform(arguments.bootstrap, arguments.source, arguments.target, arguments.group, arguments.count))


if __name__ == "__main__":
    main()
