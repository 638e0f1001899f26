"""The floor's echo, a process of its own: it answers as a broker would to one who only counts, and keeps what it is to sync."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from bench.core import floor
from bench.load import wire
from bench.load.one_record import Answers

REQUEST = b"a request of which nobody reads a word"
PATIENCE_S = 30.0


def answer(peer: socket.socket) -> bytes:
    response = b""
    while len(response) < wire.PRODUCE_RESPONSE_BYTES:
        more = peer.recv(4096)
        assert more, "the echo hung up"
        response += more
    return response


def connect(bootstrap: str) -> socket.socket:
    return socket.create_connection(wire.address_of(bootstrap), PATIENCE_S)


def test_a_request_is_answered_once_all_of_it_has_come_with_what_counts_as_one_success(tmp_path: Path) -> None:
    answers = Answers()
    with floor.running(tmp_path, REQUEST, synced=False) as echo, connect(echo.bootstrap) as peer:
        peer.sendall(REQUEST[:5])
        peer.sendall(REQUEST[5:])
        response = answer(peer)
        answers.take(response)

    assert wire.SIZE.unpack_from(response) == (len(response) - wire.SIZE.size,)
    assert (answers.count, answers.failures) == (1, 0)


def test_one_who_leaves_without_his_answer_does_not_end_it(tmp_path: Path) -> None:
    with floor.running(tmp_path, REQUEST, synced=False) as echo:
        with connect(echo.bootstrap) as gone:
            gone.sendall(REQUEST[:5])
        with connect(echo.bootstrap) as peer:
            peer.sendall(REQUEST)
            assert answer(peer)
        assert echo.processor_s() >= 0


@pytest.mark.parametrize("synced", [False, True])
def test_an_echo_has_each_request_in_its_file_before_it_answers_and_leaves_no_file(
    tmp_path: Path, synced: bool
) -> None:
    with floor.running(tmp_path, REQUEST, synced=synced) as echo, connect(echo.bootstrap) as peer:
        for number in (1, 2):
            peer.sendall(REQUEST)
            answer(peer)
            assert (tmp_path / floor.FILE).read_bytes().rstrip(b"\0") == REQUEST * number  # it is made longer

    assert list(tmp_path.iterdir()) == []


def test_it_does_not_outlive_the_bench(tmp_path: Path) -> None:
    with floor.running(tmp_path, REQUEST, synced=False) as echo:
        bootstrap = echo.bootstrap

    with pytest.raises(ConnectionRefusedError):
        connect(bootstrap).close()
