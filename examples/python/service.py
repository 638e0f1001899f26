"""An HTTP service (aiohttp) that publishes what it is sent: answered when the record is on the broker's disk.

    python service.py --bootstrap 127.0.0.1:9092 --port 8080
    curl -d '{"page": "/"}' http://127.0.0.1:8080/topics/clicks

One producer serves all requests; those that come together share a batch and its sync.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator

from aiohttp import web
from ottla import Producer
from ottla.client.serializers import to_json

PRODUCER = web.AppKey("producer", Producer)
BOOTSTRAP = web.AppKey("bootstrap", str)


async def publish(request: web.Request) -> web.Response:
    """POST /topics/{topic} with a JSON body."""
    try:
        event = await request.json()
    except json.JSONDecodeError as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}\n") from error
    record = await request.app[PRODUCER].send_and_wait(request.match_info["topic"], event)
    return web.json_response({"partition": record.partition, "offset": record.offset}, status=201)


async def producing(app: web.Application) -> AsyncIterator[None]:
    """The producer lives as long as the service."""
    async with Producer(bootstrap_servers=app[BOOTSTRAP], value_serializer=to_json) as producer:
        app[PRODUCER] = producer
        yield


def service(bootstrap: str) -> web.Application:
    app = web.Application()
    app[BOOTSTRAP] = bootstrap
    app.router.add_post("/topics/{topic}", publish)
    app.cleanup_ctx.append(producing)
    return app


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--bootstrap", default="127.0.0.1:9092")
    words.add_argument("--port", type=int, default=8080)
    arguments = words.parse_args()
    web.run_app(service(arguments.bootstrap), host="127.0.0.1", port=arguments.port)


if __name__ == "__main__":
    main()
