"""`ottla log …` on directories that a broker left, sound and damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest import mock

import pytest
from ottla.protocol.records import Codec, patch_offsets
from support.batches import batch
from support.command_line import Result, ottla


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One partition: three batches, one of an idempotent producer, one that is no text."""
    folder = tmp_path / "orders-0"
    folder.mkdir()
    batches = [
        batch(b"first", b"second", key=b"k", timestamp=1_700_000_000_123),
        batch(b"third", producer_id=7, producer_epoch=1, base_sequence=5, codec=Codec.ZSTD),
        batch(b"\xff\xfe", None),
    ]
    for base_offset, each in zip((0, 2, 3), batches, strict=True):
        patch_offsets(each, 0, base_offset, 0)
    (folder / "00000000000000000000.log").write_bytes(b"".join(batches))
    (folder / "leader-epoch-checkpoint").write_text("0\n1\n0 0\n")
    return folder


def log_of(folder: Path) -> Path:
    return folder / "00000000000000000000.log"


def objects(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.out.splitlines()]


def test_a_dump_shows_each_batch_of_each_file(folder: Path) -> None:
    result = ottla("log", "dump", str(folder))

    assert (result.exit_code, result.err) == (0, "")
    heading, first, second, third, epochs, epoch = result.out.splitlines()
    assert heading == f"{log_of(folder)}:"
    assert first.startswith("  offsets 0..1  2 records  ")
    assert "create_time 2023-11-14T22:13:20.123Z" in first
    assert "zstd" in second
    assert "producer 7 epoch 1 sequences 5..5" in second
    assert third.startswith("  offsets 3..4")
    assert epochs == f"{folder / 'leader-epoch-checkpoint'}:"
    assert epoch == "  epoch 0  from offset 0"


@pytest.mark.parametrize("command", [("dump", "--records"), ("check", "--deep")])
def test_who_may_only_read_the_files_can_look_into_them(folder: Path, command: tuple[str, ...]) -> None:
    with mock.patch("os.open", wraps=os.open) as opened:
        result = ottla("log", *command, str(folder))

    assert result.exit_code == 0
    accesses = {
        call.args[1] & os.O_ACCMODE for call in opened.call_args_list if str(call.args[0]).startswith(str(folder))
    }
    assert accesses == {os.O_RDONLY}


def test_records_are_shown_when_asked_for(folder: Path) -> None:
    result = ottla("log", "dump", str(log_of(folder)), "--records")

    assert "    0  2023-11-14T22:13:20.123Z  key 'k'  value 'first'" in result.out.splitlines()[2]
    assert r"value b'\xff\xfe'" in result.out
    assert "key null  value null" in result.out


def test_a_dump_in_json_is_one_object_a_line(folder: Path) -> None:
    first, second, third, epoch = objects(ottla("log", "dump", str(folder), "--records", "--json"))

    assert (first["type"], first["file"], first["position"]) == ("batch", str(log_of(folder)), 0)
    assert (first["base_offset"], first["last_offset"], first["record_count"]) == (0, 1, 2)
    assert first["records"][0] == {  # type: ignore[index]
        "offset": 0,
        "timestamp": 1_700_000_000_123,
        "key": "k",
        "value": "first",
        "headers": [],
    }
    assert (second["codec"], second["producer_id"], second["crc_is_valid"]) == ("zstd", 7, True)
    assert third["records"][0]["value_base64"] == "//4="  # type: ignore[index]
    assert (epoch["type"], epoch["start_offset"]) == ("leader_epoch", 0)


def test_a_torn_file_is_shown_as_far_as_it_goes(folder: Path) -> None:
    log = log_of(folder)
    log.write_bytes(log.read_bytes()[:-5])

    result = ottla("log", "dump", str(log))

    assert result.exit_code == 1
    assert len([line for line in result.out.splitlines() if "  offsets " in f" {line}"]) == 2
    assert "  unreadable at " in result.out
    assert result.err == "ottla: 1 place could not be read; `ottla log check` says what that means\n"


def test_a_wrong_checksum_is_pointed_out(folder: Path) -> None:
    log = log_of(folder)
    data = bytearray(log.read_bytes())
    data[70] ^= 1
    log.write_bytes(data)

    assert "CHECKSUM WRONG" in ottla("log", "dump", str(log)).out.splitlines()[1]


@pytest.mark.parametrize("command", ["dump", "check"])
def test_what_does_not_exist_is_wrongly_asked(command: str, tmp_path: Path) -> None:
    result = ottla("log", command, str(tmp_path / "absent"))

    assert (result.exit_code, result.err) == (2, f"ottla: {tmp_path / 'absent'} does not exist\n")


def test_a_file_with_nothing_to_show_is_wrongly_asked(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    result = ottla("log", "dump", str(tmp_path / "notes.txt"))

    assert result.exit_code == 2
    assert result.err == "ottla: notes.txt is not the name of a file that can be dumped\n"


def test_a_sound_directory_is_said_to_be_sound(folder: Path) -> None:
    for path in (folder, folder.parent):
        result = ottla("log", "check", str(path))

        assert (result.exit_code, result.err) == (0, "")
        assert result.out == f"{path} is sound, 0.0 MB of log checked\n"
    assert ottla("log", "check", str(folder), "--deep", "--json").out == ""


def test_damage_is_found_and_ends_with_exit_code_1(folder: Path) -> None:
    log = log_of(folder)
    data = bytearray(log.read_bytes())
    data[70] ^= 1
    log.write_bytes(data)

    result = ottla("log", "check", str(folder))

    assert result.exit_code == 1
    assert result.out.partition(": ")[2].startswith(f"{log} at byte 0: ")
    assert result.err == f"ottla: 1 finding in {folder}, 0.0 MB of log checked\n"


def test_findings_in_json_are_one_object_a_line(folder: Path) -> None:
    log = log_of(folder)
    log.write_bytes(log.read_bytes()[:-5])

    result = ottla("log", "check", str(folder.parent), "--json")

    assert result.exit_code == 1
    (finding,) = objects(result)
    assert (finding["severity"], finding["file"]) == ("repairable", str(log))


def test_a_file_is_not_checked_as_a_directory(folder: Path) -> None:
    result = ottla("log", "check", str(log_of(folder)))

    assert (result.exit_code, result.err) == (2, f"ottla: {log_of(folder)} is not a directory\n")
