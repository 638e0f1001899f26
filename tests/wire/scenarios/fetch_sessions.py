"""Fetch sessions (KIP-227): a life, and every way to go wrong."""

from __future__ import annotations

from typing import Any

from support.handmade import (
    records,
)
from support.scenarios import Batch, Family, Kept, Scenario, Step, call
from support.wire import Api
from wire.scenarios.topics import delete
from wire.shapes import (
    KEEP_FOREVER,
    MADE_UP_ID,
    by_id,
    create,
    create_and_keep_id,
    fetch,
    fetch_fields,
    fetch_partition,
    filled,
    produce,
    topic,
)


def in_session(label: str, session: Any, epoch: int, *parts: dict[str, Any], **more: Any) -> Step:
    return fetch(label, "f", *parts, session_id=session, session_epoch=epoch, **more)


def opened(name: str = "session", *parts: dict[str, Any], version: int = 12) -> Step:
    opening = {"session_id": 0, "session_epoch": 0, "keep": {name: "session_id"}}
    if version >= 13:
        return by_id("open", Kept("f id"), *parts, version=version, **opening)
    return fetch("open", "f", *parts, version=version, **opening)


BOTH = (fetch_partition(0, 5), fetch_partition(1, 0))

SESSIONS = [
    Scenario(
        "set up",
        [
            create_and_keep_id("f", 3),
            create_and_keep_id("g"),
            *filled("f"),
            produce("partition 1", "f", Batch(records(b"p1")), partition=1),
        ],
    ),
    Scenario(
        "a life",
        [
            opened("session", *BOTH),
            in_session("nothing new", Kept("session"), 1),
            in_session("both again from further on", Kept("session"), 2, fetch_partition(0, 6), fetch_partition(1, 1)),
            in_session("nothing at all", Kept("session"), 3),
            produce("a record", "f", Batch(records(b"p2")), partition=1),
            in_session("it comes", Kept("session"), 4),
            in_session("it comes again", Kept("session"), 5),
            in_session("add a partition", Kept("session"), 6, fetch_partition(1, 2), fetch_partition(2, 0)),
            in_session(
                "forget one",
                Kept("session"),
                7,
                forgotten_topics_data=[{"topic": "f", "partitions": [0]}],
            ),
            produce("in what was forgotten", "f", Batch(records(b"p3")), partition=0),
            in_session("is not told", Kept("session"), 8),
            in_session("an error", Kept("session"), 9, fetch_partition(2, 77)),
            in_session("the error again", Kept("session"), 10),
            in_session("close", Kept("session"), -1),
            in_session("it is gone", Kept("session"), 11),
        ],
    ),
    Scenario(
        "in every version that has sessions",
        [
            step
            for version in range(7, 19)
            for step in (
                opened(f"session {version}", *BOTH, version=version),
                call(
                    Api.FETCH,
                    version,
                    "go on",
                    **fetch_fields(version, session_id=Kept(f"session {version}"), session_epoch=1),
                ),
                call(
                    Api.FETCH,
                    version,
                    "wrong epoch",
                    **fetch_fields(version, session_id=Kept(f"session {version}"), session_epoch=7),
                ),
                call(
                    Api.FETCH,
                    version,
                    "unknown session",
                    **fetch_fields(version, session_id=123_456, session_epoch=1),
                ),
                call(
                    Api.FETCH,
                    version,
                    "close",
                    **fetch_fields(version, session_id=Kept(f"session {version}"), session_epoch=-1),
                ),
            )
        ],
    ),
    Scenario(
        "errors",
        [
            opened("session", *BOTH),
            in_session("epoch too high", Kept("session"), 2),
            in_session("epoch 1 still right", Kept("session"), 1),
            in_session("epoch 1 again", Kept("session"), 1),
            in_session("epoch negative", Kept("session"), -2),
            in_session("unknown session", 12_345, 1),
            in_session("unknown session, closing", 12_345, -1, fetch_partition(0, 5)),
            in_session("no session, epoch 1", 0, 1, fetch_partition(0, 5)),
            in_session("no session, epoch -1", 0, -1, fetch_partition(0, 5)),
            in_session("reopen over it", Kept("session"), 0, fetch_partition(0, 5)),
            in_session("the old one is gone", Kept("session"), 2),
            in_session("open with nothing", 0, 0),
        ],
    ),
    Scenario(
        "names and ids in one session",
        [
            opened("named", *BOTH),
            call(
                Api.FETCH,
                13,
                "ids into a session of names",
                **fetch_fields(13, session_id=Kept("named"), session_epoch=1),
            ),
            opened("by id", *BOTH, version=16),
            in_session("names into a session of ids", Kept("by id"), 1),
            by_id("an unknown id joins", MADE_UP_ID, fetch_partition(), session_id=Kept("by id"), session_epoch=1),
            call(
                Api.FETCH,
                16,
                "it stays wrong",
                **fetch_fields(16, session_id=Kept("by id"), session_epoch=2),
            ),
        ],
    ),
    Scenario(
        "unknown topics in sessions",
        [
            call(
                Api.FETCH,
                12,
                "open on an unknown name",
                keep={"lost": "session_id"},
                **fetch_fields(12, fetch_partition(), name="never-was", session_id=0, session_epoch=0),
            ),
            call(
                Api.FETCH,
                16,
                "open on an unknown id",
                keep={"lost id": "session_id"},
                **fetch_fields(16, fetch_partition(), topic_id=MADE_UP_ID, session_id=0, session_epoch=0),
            ),
            in_session("go on", Kept("lost"), 1),
            create("it comes to be", topic("never-was")),
            in_session("go on then", Kept("lost"), 2),
        ],
    ),
    Scenario(
        "a topic is deleted in a session",
        [
            opened("gone", fetch_partition(0, 5)),
            call(
                Api.FETCH,
                12,
                "g joins",
                **fetch_fields(12, fetch_partition(), name="g", session_id=Kept("gone"), session_epoch=1),
            ),
            delete("g goes", "g"),
            in_session("told", Kept("gone"), 2),
            in_session("told again", Kept("gone"), 3),
        ],
    ),
]


FAMILY = Family("fetch_sessions", SESSIONS, KEEP_FOREVER)
