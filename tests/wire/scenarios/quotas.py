"""DescribeClientQuotas and AlterClientQuotas (KIP-546)."""

from collections.abc import Mapping
from typing import Any

from support.scenarios import Family, Scenario, Step, call, every
from support.wire import Api

EXACT, DEFAULT, ANY = 0, 1, 2
USER, CLIENT, IP = "user", "client-id", "ip"


def entity(*parts: tuple[str, str | None]) -> list[dict[str, Any]]:
    return [{"entity_type": kind, "entity_name": name} for kind, name in parts]


def quota(of: list[dict[str, Any]], *removed: str, **values: float) -> dict[str, Any]:
    """`values` are set, `removed` taken away."""
    return {
        "entity": of,
        "ops": [
            *({"key": key, "value": value, "remove": False} for key, value in values.items()),
            *({"key": key, "value": 0.0, "remove": True} for key in removed),
        ],
    }


def alter(label: str, *entries: Mapping[str, Any], validate_only: bool = False) -> Step:
    return call(Api.ALTER_CLIENT_QUOTAS, 1, label, entries=list(entries), validate_only=validate_only)


def component(kind: str, match_type: int, match: str | None = None) -> dict[str, Any]:
    return {"entity_type": kind, "match_type": match_type, "match": match}


def describe(label: str, *components: Mapping[str, Any], strict: bool = False) -> Step:
    return call(Api.DESCRIBE_CLIENT_QUOTAS, 1, label, components=list(components), strict=strict)


ALICE, EVERYBODY = entity((USER, "alice")), entity((USER, None))
QUOTAS = [
    Scenario("nothing there", [describe("all"), describe("all, strict", strict=True)]),
    Scenario(
        "in every version",
        [
            *every(
                Api.ALTER_CLIENT_QUOTAS,
                {"entries": [quota(ALICE, producer_byte_rate=1024.0, request_percentage=12.5)]},
            ),
            *every(Api.DESCRIBE_CLIENT_QUOTAS, {"components": [component(USER, EXACT, "alice")], "strict": True}),
        ],
    ),
    Scenario(
        "set",
        [
            alter(
                "several",
                quota(EVERYBODY, consumer_byte_rate=2048.0),
                quota(entity((CLIENT, "app")), producer_byte_rate=1.0, consumer_byte_rate=2.0),
                quota(entity((CLIENT, None)), controller_mutation_rate=3.5),
                quota(entity((USER, "alice"), (CLIENT, "app")), producer_byte_rate=9.0),
                quota(entity((USER, "bob"), (CLIENT, None)), request_percentage=200.0),
                quota(entity((IP, "127.0.0.1")), connection_creation_rate=10.0),
                quota(entity((IP, None)), connection_creation_rate=20.0),
            ),
            describe("all of them"),
            alter("only said", quota(ALICE, producer_byte_rate=7.0), validate_only=True),
            describe("as before", component(USER, EXACT, "alice"), strict=True),
            alter("change and take away", quota(ALICE, "request_percentage", producer_byte_rate=5.0)),
            describe("changed", component(USER, EXACT, "alice"), strict=True),
            alter("take away what is not there", quota(ALICE, "consumer_byte_rate")),
            alter("take away of an entity that is not there", quota(entity((USER, "zed")), "consumer_byte_rate")),
            describe("still", component(USER, EXACT, "alice"), strict=True),
        ],
    ),
    Scenario(
        "filters",
        [
            describe("alice, and with others", component(USER, EXACT, "alice")),
            describe("default user", component(USER, DEFAULT)),
            describe("default user, strict", component(USER, DEFAULT), strict=True),
            describe("any user", component(USER, ANY)),
            describe("any user, strict", component(USER, ANY), strict=True),
            describe("user and client", component(USER, EXACT, "alice"), component(CLIENT, EXACT, "app")),
            describe("user and any client", component(USER, EXACT, "bob"), component(CLIENT, ANY)),
            describe("any of both", component(USER, ANY), component(CLIENT, ANY)),
            describe("any client, strict", component(CLIENT, ANY), strict=True),
            describe("any ip", component(IP, ANY)),
            describe("default ip", component(IP, DEFAULT)),
            describe("nobody", component(USER, EXACT, "nobody")),
            describe("empty name", component(USER, EXACT, "")),
        ],
    ),
    Scenario(
        "wrong filters",
        [
            describe("unknown type", component("host", ANY)),
            describe("empty type", component("", ANY)),
            describe("twice", component(USER, ANY), component(USER, DEFAULT)),
            describe("exact without a name", component(USER, EXACT)),
            describe("default with a name", component(USER, DEFAULT, "alice")),
            describe("any with a name", component(USER, ANY, "alice")),
            describe("unknown match", component(USER, 3)),
            describe("user and ip", component(USER, ANY), component(IP, ANY)),
            describe("client and ip", component(CLIENT, EXACT, "a"), component(IP, EXACT, "b")),
        ],
    ),
    Scenario(
        "wrong changes",
        [
            alter("no entity", quota([], producer_byte_rate=1.0)),
            alter("unknown type", quota(entity(("host", "a")), producer_byte_rate=1.0)),
            alter("empty type", quota(entity(("", "a")), producer_byte_rate=1.0)),
            alter("empty name", quota(entity((USER, "")), producer_byte_rate=1.0)),
            alter("a type twice", quota(entity((USER, "a"), (USER, "b")), producer_byte_rate=1.0)),
            alter("user and ip", quota(entity((USER, "a"), (IP, "1.2.3.4")), producer_byte_rate=1.0)),
            alter("all three", quota(entity((USER, "a"), (CLIENT, "c"), (IP, "1.2.3.4")), producer_byte_rate=1.0)),
            alter("no ip", quota(entity((IP, "not an address")), connection_creation_rate=1.0)),
            alter("a key of others", quota(entity((IP, "1.2.3.4")), producer_byte_rate=1.0)),
            alter("unknown key", quota(ALICE, nonsense=1.0)),
            alter("unknown key taken away", quota(ALICE, "nonsense")),
            alter("empty key", quota(ALICE, **{"": 1.0})),
            alter("not whole", quota(ALICE, producer_byte_rate=1.5)),
            alter("nearly whole", quota(ALICE, producer_byte_rate=5.0000001)),
            alter("zero", quota(ALICE, producer_byte_rate=0.0)),
            alter("negative", quota(ALICE, producer_byte_rate=-1.0)),
            alter("negative percentage", quota(ALICE, request_percentage=-0.5)),
            alter("a key twice", {"entity": ALICE, "ops": [*quota(ALICE, producer_byte_rate=1.0)["ops"]] * 2}),
            alter("an entity twice", quota(ALICE, producer_byte_rate=1.0), quota(ALICE, consumer_byte_rate=1.0)),
            alter("no changes", quota(ALICE)),
            alter("nothing"),
            alter("good and bad", quota(entity((USER, "good")), producer_byte_rate=1.0), quota([])),
            alter("good key, bad key", quota(entity((USER, "half")), producer_byte_rate=1.0, nonsense=2.0)),
            describe("what is there now"),
        ],
    ),
]

FAMILIES = [Family("client_quotas", QUOTAS)]
