"""Write JSON: one order per line of output, keyed by its customer, each acknowledged when it is on the disk.

python produce_json.py --bootstrap 127.0.0.1:9092 --topic orders --count 1000
"""

from __future__ import annotations

import argparse
import asyncio
from random import Random

from ottla import Producer
from ottla.client.serializers import to_json


async def produce(bootstrap: str, topic: str, count: int) -> None:
    random = Random(1)
    async with Producer(
        bootstrap_servers=bootstrap, key_serializer=str.encode, value_serializer=to_json, linger_ms=5
    ) as producer:
        acknowledgements = []
        for number in range(count):
            customer = f"customer-{random.randrange(50)}"
            order = {"order": number, "customer": customer, "cents": random.randint(100, 9_999)}
            acknowledgements.append(await producer.send(topic, order, key=customer))
        for record in await asyncio.gather(*acknowledgements):
            print(f"{record.topic}-{record.partition} @ {record.offset}")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--bootstrap", default="127.0.0.1:9092")
    words.add_argument("--topic", default="orders")
    words.add_argument("--count", type=int, default=1_000)
    arguments = words.parse_args()
    asyncio.run(produce(arguments.bootstrap, arguments.topic, arguments.count))


if __name__ == "__main__":
    main()
