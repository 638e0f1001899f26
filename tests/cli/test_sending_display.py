"""What a person sees while records are sent."""

from __future__ import annotations

import io

from ottla.cli.sending_display import SendingDisplay


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_count_size_and_rate_now_and_then() -> None:
    terminal = Terminal()
    display = SendingDisplay(terminal, now_s=10)
    for at_s in (10.1, 11, 11.1, 12):
        display.show(50_000, 2_500_000, at_s)
    display.close()

    assert terminal.getvalue() == (
        "\r\x1b[K50,000 records, 2.5 MB, 50,000 a second\r\x1b[K50,000 records, 2.5 MB, 25,000 a second\r\x1b[K"
    )


def test_a_pipe_is_told_nothing() -> None:
    pipe = io.StringIO()
    display = SendingDisplay(pipe, now_s=0)
    display.show(1, 1, 5)
    display.close()

    assert pipe.getvalue() == ""
