"""One-record Produce requests: many in flight on one connection, one at a time on many, or one at a time and timed."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from .wire import PRODUCE_ERROR_AT, PRODUCE_RESPONSE_BYTES, Connection

SIZE = PRODUCE_RESPONSE_BYTES


@dataclass(slots=True)
class Answers:
    """What came of a load: `count` acknowledged, `failures` refused, over `seconds`; latencies where they were taken."""

    count: int = 0
    failures: int = 0
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    def take(self, responses: bytes | bytearray) -> None:
        """Whole responses, one after the other."""
        self.count += len(responses) // SIZE
        for start in range(0, len(responses), SIZE):
            if responses[start + PRODUCE_ERROR_AT : start + PRODUCE_ERROR_AT + 2] != b"\0\0":
                self.failures += 1


class _Pipe:
    """One connection that always has as many requests in flight, as long as it is let."""

    def __init__(self, bootstrap: str, request: bytes, in_flight: int) -> None:
        self.socket = Connection(bootstrap).socket
        self._request = request
        self._in_flight = in_flight
        self._rest = bytearray()

    def begin(self) -> None:
        self.socket.sendall(self._request * self._in_flight)

    def go_on(self, answers: Answers) -> int:
        """Take what has come and send as many again; how many that were."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the broker closed the connection")
        self._rest += data
        whole = len(self._rest) // SIZE
        answers.take(self._rest[: whole * SIZE])
        del self._rest[: whole * SIZE]
        if whole:
            self.socket.sendall(self._request * whole)
        return whole


def pipelined(bootstrap: str, request: bytes, *, in_flight: int, seconds: float) -> Answers:
    """One connection, `in_flight` requests unanswered at any time."""
    answers = Answers()
    with _pipes(bootstrap, [request], in_flight) as (pipe,):
        began = time.perf_counter()
        end = began + seconds
        pipe.begin()
        while time.perf_counter() < end:
            pipe.go_on(answers)
        answers.seconds = time.perf_counter() - began
    return answers


def many_connections(bootstrap: str, requests: list[bytes], *, seconds: float) -> Answers:
    """One connection for each of `requests`, each sending its own one at a time."""
    answers = Answers()
    with _pipes(bootstrap, requests, 1) as pipes, selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe.socket, selectors.EVENT_READ, pipe)
        began = time.perf_counter()
        end = began + seconds
        for pipe in pipes:
            pipe.begin()
        while time.perf_counter() < end:
            for key, _ in selector.select(1.0):
                key.data.go_on(answers)
        answers.seconds = time.perf_counter() - began
    return answers


def one_at_a_time(bootstrap: str, request: bytes, *, seconds: float) -> Answers:
    """One connection, one request, its answer awaited and timed, then the next."""
    answers = Answers()
    with Connection(bootstrap) as connection:
        peer = connection.socket
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        began = sent = time.perf_counter()
        end = began + seconds
        while sent < end:
            sent = time.perf_counter()
            peer.sendall(request)
            response = peer.recv(4096)
            answers.latencies_s.append(time.perf_counter() - sent)
            answers.take(response)
        answers.seconds = time.perf_counter() - began
    return answers


@contextmanager
def _pipes(bootstrap: str, requests: list[bytes], in_flight: int) -> Iterator[list[_Pipe]]:
    with ExitStack() as stack:
        pipes = [_Pipe(bootstrap, request, in_flight) for request in requests]
        for pipe in pipes:
            stack.enter_context(pipe.socket)
        yield pipes
