"""Members of a group as load: they become stable against a broker, and what is wrong with one is told at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from support.broker import BrokerProcess

from bench.load import wire
from bench.load.members import commits, time_to_stable


def test_members_are_stable_together_and_commits_are_answered(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path / "ottla", {"group.initial.rebalance.delay.ms": "0"}) as broker:
        wire.create_topic(broker.bootstrap, "read")
        assert time_to_stable(broker.bootstrap, "together", 3) > 0
        answers = commits(broker.bootstrap, "read", groups=2, seconds=0.1)

    assert answers.count > 0
    assert not answers.failures


def test_a_member_that_is_refused_is_told_at_once_and_not_waited_for(tmp_path: Path) -> None:
    with (
        BrokerProcess(tmp_path / "ottla", {"group.max.size": "1", "group.initial.rebalance.delay.ms": "0"}) as broker,
        pytest.raises(RuntimeError, match="GROUP_MAX_SIZE_REACHED"),
    ):
        time_to_stable(broker.bootstrap, "full", 2)
