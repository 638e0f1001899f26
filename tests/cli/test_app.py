"""The command line as a whole: help, version, and never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ottla as package
import pytest
from support.command_line import ottla


def test_the_version_is_one_line() -> None:
    assert ottla("--version").out == f"ottla {package.__version__}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("-h",)])
def test_help_names_every_command(arguments: tuple[str, ...]) -> None:
    result = ottla(*arguments)

    assert result.exit_code == 0
    assert [word for word in ("serve", "topics", "log") if word not in result.out] == []


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("topics", "create"),
        ("topics", "list"),
        ("topics", "describe"),
        ("topics", "alter"),
        ("topics", "delete"),
        ("log", "dump"),
        ("log", "check"),
    ],
)
def test_every_command_explains_itself_on_a_narrow_screen(command: tuple[str, ...]) -> None:
    result = ottla(*command, "--help")

    assert result.exit_code == 0
    assert "Usage: ottla" in result.out
    assert max(map(len, result.out.splitlines())) <= 80
    assert "\x1b" not in result.out


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("serve", "--nonsense"), ("serve", "--port", "x"), ("serve", "--port", "65536")]
)
def test_a_wrong_word_is_exit_code_2_and_says_where_help_is(arguments: tuple[str, ...]) -> None:
    result = ottla(*arguments)

    assert result.exit_code == 2
    assert "Error:" in result.err
    assert "Traceback" not in result.err


def test_a_bug_is_one_line_too_unless_asked_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("ottla.cli.topic_commands.list_", broken)

    result = ottla("topics", "list")

    assert result.exit_code == 1
    assert result.err.count("\n") == 1
    assert "a bug: ZeroDivisionError: by zero" in result.err
    monkeypatch.setenv("OTTLA_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        ottla("topics", "list")


def test_a_reader_that_has_enough_is_no_error_worth_a_word() -> None:
    command = f"{sys.executable} -m ottla --help"

    ended = subprocess.run(f"{command} | head -1", shell=True, capture_output=True, text=True, check=True)

    assert ended.stdout.startswith("Usage:")
    assert ended.stderr == ""


def test_it_runs_as_a_module() -> None:
    ended = subprocess.run([sys.executable, "-m", "ottla", "--version"], capture_output=True, text=True, check=True)

    assert ended.stdout == f"ottla {package.__version__}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_an_output_that_cannot_be_written_is_one_line() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "ottla", "--version"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)

    assert (ended.returncode, ended.stderr) == (1, "ottla: cannot write the output: No space left on device\n")
