"""What can go wrong with the disk under a Hypothesis machine, as rules that such machines share.

    OnPower     the power goes, at once or within what the machine does next
    OnDisk      also, the disk fills up, and there is room again

A machine says in `recover` what it expects to find when the power is back, and does whatever the power may cut through
`powered`. How soon the power goes, and how little room there is, is its own to say.
"""

from __future__ import annotations

import errno
from abc import abstractmethod
from collections.abc import Callable
from random import Random
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from support.power_cut import PowerCutFiles, PowerLost

RANDOMS = st.randoms(use_true_random=False)
DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class OnPower(RuleBasedStateMachine):
    """Something on a disk that loses power."""

    most_changes: ClassVar[int]
    """The power goes within so many changes of the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.files = PowerCutFiles()
        self.has_power = True

    @abstractmethod
    def recover(self) -> None:
        """The power is back: open what was found in `files`, and hold it against what was known."""

    def powered(self, use: Callable[[], object]) -> bool:
        """Do something during which the power may go; False when it went."""
        try:
            use()
        except PowerLost:
            self.has_power = False
        return self.has_power

    @precondition(lambda self: self.has_power)
    @rule(changes=st.runner().flatmap(lambda machine: st.integers(1, machine.most_changes)))
    def let_the_power_go_soon(self, changes: int) -> None:
        self.files.cut_after(changes)

    @rule(randomness=RANDOMS)
    def cut_power(self, randomness: Random) -> None:
        self.files = self.files.cut(randomness)
        self.recover()


class OnDisk(OnPower):
    """Something on a disk that loses power and fills up."""

    most_room_bytes: ClassVar[int]
    """A disk that is about to be full has at most so many bytes left."""

    def __init__(self) -> None:
        super().__init__()
        self.disk_is_full = False

    @precondition(lambda self: self.has_power)
    @rule(
        room_bytes=st.runner().flatmap(lambda machine: st.integers(0, machine.most_room_bytes)),
        error_number=st.sampled_from(DISK_IS_FULL),
    )
    def fill_disk(self, room_bytes: int, error_number: int) -> None:
        self.files.fill_disk(room_bytes, error_number)
        self.disk_is_full = True

    @precondition(lambda self: self.has_power and self.disk_is_full)
    @rule()
    def free_disk(self) -> None:
        self.files.free_disk()
        self.disk_is_full = False
