"""Frames and headers: what ends a connection and what does not."""

import struct

from support.scenarios import Family, Scenario, Step, call, raw
from support.schema import encode, schema, uvarint
from support.wire import VERSIONS, Api, request_frame, request_header
from wire.shapes import create, topic


def header(api: int, version: int, *, flexible: bool = False, client_id: str | None = "wire") -> bytes:
    return request_header(api, version, correlation_id=1, client_id=client_id, flexible=flexible)


def metadata_body(version: int = 12) -> bytes:
    return encode(schema(Api.METADATA, version, "request"), {"topics": []})


def still_there() -> Step:
    return call(Api.METADATA, 12, "another request is answered", topics=[])


def unknown_versions() -> list[Step]:
    steps = []
    for api, versions in VERSIONS.items():
        if api == Api.API_VERSIONS:
            continue
        steps.append(raw(f"{api.name} v{versions[-1] + 1}", header(api, versions[-1] + 1, flexible=True)))
        if versions[0] > 0:
            steps.append(raw(f"{api.name} v{versions[0] - 1}", header(api, versions[0] - 1)))
    steps.append(raw("PRODUCE v0", header(Api.PRODUCE, 0) + b"\0\1\0\0\0\1\0\0\0\0"))
    steps.append(raw("METADATA v-1", header(Api.METADATA, -1)))
    return steps


def cut_short() -> list[Step]:
    """Every request of one kind, a byte short: the smallest well-formed body without its end."""
    steps = []
    for api, versions in VERSIONS.items():
        if api == Api.API_VERSIONS:
            continue
        for version in (versions[0], versions[-1]):
            frame = request_frame(api, version, {}, correlation_id=1)
            steps.append(raw(f"{api.name} v{version} a byte short", frame[:-1]))
    return steps


def api_versions_of_unknown_versions() -> list[Step]:
    return [
        raw(
            f"ApiVersions v{version}",
            header(Api.API_VERSIONS, version, flexible=True) + body,
            api=Api.API_VERSIONS,
            version=0,
        )
        for version, body in [(5, b""), (99, b"whatever"), (32_767, b""), (-1, b"")]
    ] + [still_there()]


def leftovers_and_tags() -> list[Step]:
    flexible = header(Api.METADATA, 12)  # without the header's tag count
    body = metadata_body()[:-1]  # without the body's tag count
    tag = uvarint(1) + uvarint(77) + uvarint(3) + b"abc"
    twice = uvarint(2) + (uvarint(77) + uvarint(1) + b"a") * 2
    backwards = uvarint(2) + uvarint(78) + uvarint(0) + uvarint(77) + uvarint(0)

    def metadata(label: str, frame: bytes) -> Step:
        return raw(label, frame, api=Api.METADATA, version=12)

    return [
        metadata("bytes left over", flexible + b"\0" + body + b"\0" + b"left over"),
        metadata("an unknown tag in the header", flexible + tag + body + b"\0"),
        metadata("an unknown tag in the body", flexible + b"\0" + body + tag),
        metadata("a tag twice", flexible + b"\0" + body + twice),
        metadata("tags unordered", flexible + b"\0" + body + backwards),
        metadata("a tag cut short", flexible + b"\0" + body + uvarint(1) + uvarint(77) + uvarint(9) + b"a"),
        metadata("too many tags", flexible + b"\0" + body + uvarint(3) + uvarint(7) + uvarint(0)),
        metadata("no client id", header(Api.METADATA, 12, client_id=None) + b"\0" + body + b"\0"),
        metadata("an empty client id", header(Api.METADATA, 12, client_id="") + b"\0" + body + b"\0"),
        metadata(
            "client id of length -2",
            struct.pack(">hhih", Api.METADATA, 12, 1, -2) + b"\0" + body + b"\0",
        ),
        metadata("client id cut short", struct.pack(">hhih", Api.METADATA, 12, 1, 500) + b"\0" + body + b"\0"),
        metadata(
            "client id that is not UTF-8",
            struct.pack(">hhih", Api.METADATA, 12, 1, 2) + b"\xff\xfe" + b"\0" + body + b"\0",
        ),
    ]


def counts() -> list[Step]:
    def metadata(label: str, version: int, body: bytes) -> Step:
        return raw(
            label, header(Api.METADATA, version, flexible=version >= 9) + body, api=Api.METADATA, version=version
        )

    def create_topics(label: str, body: bytes) -> Step:
        return raw(label, header(Api.CREATE_TOPICS, 7, flexible=True) + body, api=Api.CREATE_TOPICS, version=7)

    return [
        metadata("v0, count -1", 0, struct.pack(">i", -1)),
        metadata("v1, count -1", 1, struct.pack(">i", -1)),
        metadata("v1, count -2", 1, struct.pack(">i", -2)),
        metadata("v1, count larger than the frame", 1, struct.pack(">i", 1000)),
        metadata("v1, largest count", 1, struct.pack(">i", 2**31 - 1)),
        metadata("v1, a null name", 1, struct.pack(">ih", 1, -1)),
        metadata("v1, a name of length -5", 1, struct.pack(">ih", 1, -5)),
        metadata("v1, a name that is not UTF-8", 1, struct.pack(">ih", 1, 2) + b"\xff\xff"),
        metadata("v12, largest count", 12, b"\xff\xff\xff\xff\x0f"),
        metadata("v12, a count of six bytes", 12, b"\xff\xff\xff\xff\xff\x01"),
        metadata("v12, null topics", 12, b"\0\1\0\0\0"),
        create_topics("null topics", b"\0" + struct.pack(">i?", 1000, False) + b"\0"),
        create_topics(
            "null name", b"\2\0" + struct.pack(">ih", 1, 1) + b"\1\1\0" + struct.pack(">i?", 1000, False) + b"\0"
        ),
    ]


def sizes() -> list[Step]:
    return [
        raw("size 0", struct.pack(">i", 0), framed=True),
        raw("size -1", struct.pack(">i", -1), framed=True),
        raw("smallest size", struct.pack(">i", -(2**31)), framed=True),
        raw("size above socket.request.max.bytes", struct.pack(">i", 104_857_601), framed=True),
        raw("largest size", struct.pack(">i", 2**31 - 1), framed=True),
        raw("size 1", struct.pack(">ib", 1, 0), framed=True),
        raw("size 4", struct.pack(">ihh", 4, 3, 1), framed=True),
        raw("size 8, no client id", struct.pack(">ihhi", 8, 3, 1, 1), framed=True),
        raw("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", framed=True),
        raw("tls", bytes.fromhex("16030100f8010000f40303") + b"\x11" * 240, framed=True),
        still_there(),
    ]


FAMILY = Family(
    "frames",
    [
        Scenario("sizes", sizes()),
        Scenario(
            "unknown keys",
            [raw(f"key {key}", header(key, 0)) for key in (-1, 4, 5, 6, 7, 52, 93, 999, 32_767)],
        ),
        Scenario("unknown versions", unknown_versions()),
        Scenario("ApiVersions of unknown versions", api_versions_of_unknown_versions()),
        Scenario("cut short", cut_short()),
        Scenario("leftovers and tags", leftovers_and_tags()),
        Scenario("counts", counts()),
        Scenario(
            "pipelined",
            [
                create("set up", topic("pipe")),
                Step("METADATA v12 first", Api.METADATA, 12, {"topics": []}, later=True),
                Step("METADATA v1 second", Api.METADATA, 1, {"topics": []}, later=True),
                Step("METADATA v12 answer to the first", Api.METADATA, 12),
                Step("METADATA v1 answer to the second", Api.METADATA, 1),
            ],
        ),
    ],
)
