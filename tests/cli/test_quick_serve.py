"""A plain `serve` command line is understood without Typer, and just as Typer would."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from ottla.broker.logs import LogFormat, LogLevel
from ottla.cli.app import app
from ottla.cli.quick_serve import FLAGS, plain_options
from ottla.cli.serve import ServeOptions


def test_no_words_are_the_defaults() -> None:
    assert plain_options([]) == ServeOptions()


def test_every_flag_is_understood_in_both_ways_of_writing() -> None:
    words = ["--port", "0", "--host=0.0.0.0", "-d", "data", "--config=file", "--set", "a=b", "--set=c=d"]
    assert plain_options([*words, "--log-format", "json", "--log-level=debug"]) == ServeOptions(
        0, "0.0.0.0", "data", Path("file"), ["a=b", "c=d"], LogFormat.JSON, LogLevel.DEBUG
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--nonsense", "1"],
        ["--port"],
        ["--port", "x"],
        ["--port", "65536"],
        ["--port", "-1"],
        ["-p9092"],
        ["--log-format", "xml"],
        ["stray"],
    ],
)
def test_what_is_not_plain_is_left_to_typer(words: list[str]) -> None:
    assert plain_options(words) is None


def test_typer_and_the_quick_way_know_the_same_flags() -> None:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    known = {name: parameter.name for parameter in command.params for name in parameter.opts}
    known = {name: attribute for name, attribute in known.items() if attribute != "help"}
    assert known == {name: attribute for name, (attribute, _) in FLAGS.items()}
