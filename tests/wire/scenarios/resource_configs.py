"""Configs set on groups and on subscriptions to client metrics, and what is in force then."""

from support.scenarios import Family, Scenario, Step, every
from support.wire import Api
from wire.scenarios.configs import (
    APPEND,
    CLIENT_METRICS,
    DELETE,
    GROUP,
    SET,
    SUBTRACT,
    alter,
    change,
    describe,
    replace,
    resource,
    whole,
)

SESSION, HEARTBEAT = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"
RESET = "share.auto.offset.reset"


def shown(label: str, name: str = "g", kind: int = GROUP) -> Step:
    return describe(label, resource(kind, name), synonyms=True)


GROUPS = [
    Scenario(
        "set and take back",
        [
            alter("set", change(GROUP, "g", (SESSION, SET, "46000"), (RESET, SET, "earliest"))),
            shown("set"),
            describe("some", resource(GROUP, "g", SESSION, HEARTBEAT)),
            shown("another group", "other"),
            alter("only said", change(GROUP, "g", (SESSION, SET, "47000")), validate_only=True),
            alter("another value", change(GROUP, "g", (SESSION, SET, " 48000 "))),
            shown("changed"),
            alter("delete", change(GROUP, "g", (SESSION, DELETE, None))),
            alter("delete what is not set", change(GROUP, "g", (HEARTBEAT, DELETE, None))),
            shown("one is left"),
            replace("all", whole(GROUP, "g", (HEARTBEAT, "6000"))),
            shown("replaced"),
            replace("nothing", whole(GROUP, "g")),
            shown("as at first"),
        ],
    ),
    Scenario(
        "in every version",
        [
            *every(Api.ALTER_CONFIGS, {"resources": [whole(GROUP, "v", (SESSION, "50000"))]}),
            *every(
                Api.INCREMENTAL_ALTER_CONFIGS,
                {"resources": [change(GROUP, "v", (HEARTBEAT, SET, "7000"))]},
            ),
            *every(Api.DESCRIBE_CONFIGS, {"resources": [resource(GROUP, "v")], "include_synonyms": True}),
        ],
    ),
    Scenario(
        "what cannot be",
        [
            alter("unknown", change(GROUP, "w", ("no.such", SET, "1"))),
            alter("unknown taken back", change(GROUP, "w", ("no.such", DELETE, None))),
            alter("not a number", change(GROUP, "w", (SESSION, SET, "soon"))),
            alter("below the least", change(GROUP, "w", (SESSION, SET, "44999"))),
            alter("above the most", change(GROUP, "w", (SESSION, SET, "60001"))),
            alter("the least", change(GROUP, "w", (SESSION, SET, "45000"))),
            alter("the most", change(GROUP, "w", (SESSION, SET, "60000"))),
            alter("heartbeat above session", change(GROUP, "w", (HEARTBEAT, SET, "15000"))),
            alter("zero", change(GROUP, "w", (HEARTBEAT, SET, "0"))),
            alter("reset to nonsense", change(GROUP, "w", (RESET, SET, "sometime"))),
            alter("reset by duration", change(GROUP, "w", (RESET, SET, "by_duration:PT1H"))),
            alter("append", change(GROUP, "w", (SESSION, APPEND, "1"))),
            alter("subtract", change(GROUP, "w", (SESSION, SUBTRACT, "1"))),
            alter("no value", change(GROUP, "w", (SESSION, SET, None))),
            alter("no name", change(GROUP, "", (SESSION, SET, "46000"))),
            alter("no changes", change(GROUP, "w")),
            alter("a group twice", change(GROUP, "w", (SESSION, SET, "46000")), change(GROUP, "w")),
            alter("good and bad", change(GROUP, "x", (SESSION, SET, "46000"), ("no.such", SET, "1"))),
            shown("after all this", "w"),
        ],
    ),
    Scenario(
        "client metrics",
        [
            alter(
                "set",
                change(
                    CLIENT_METRICS,
                    "m",
                    ("interval.ms", SET, "1000"),
                    ("metrics", SET, "org.apache.kafka.,*"),
                    ("match", SET, "client_id=a.*"),
                ),
            ),
            shown("set", "m", CLIENT_METRICS),
            alter("delete", change(CLIENT_METRICS, "m", ("match", DELETE, None))),
            shown("deleted", "m", CLIENT_METRICS),
            alter("too often", change(CLIENT_METRICS, "m", ("interval.ms", SET, "99"))),
            alter("unknown", change(CLIENT_METRICS, "m", ("no.such", SET, "99"))),
            alter("wrong match", change(CLIENT_METRICS, "m", ("match", SET, "host=a"))),
            alter("no name", change(CLIENT_METRICS, "", ("interval.ms", SET, "1000"))),
        ],
    ),
]

FAMILIES = [Family("resource_configs", GROUPS)]
