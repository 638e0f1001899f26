"""Who asked the coordinator, and whether the answer still holds when the batch is appended."""

from __future__ import annotations

import pytest
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.storage.verification import Verifications

ID = 7


def test_a_second_question_joins_the_first_and_keeps_the_lowest_sequence() -> None:
    verifications = Verifications()
    first = verifications.begin(ID, 5, 0, bumps_epoch=False, now_ms=0)
    assert verifications.begin(ID, 3, 0, bumps_epoch=False, now_ms=1) is first
    assert verifications.begin(ID, 9, 0, bumps_epoch=False, now_ms=2) is first
    assert first.lowest_sequence == 3


def test_a_newer_epoch_begins_its_sequences_anew_and_an_older_one_changes_nothing() -> None:
    verifications = Verifications()
    first = verifications.begin(ID, 3, 1, bumps_epoch=True, now_ms=0)
    verifications.begin(ID, 8, 2, bumps_epoch=True, now_ms=0)
    assert (first.epoch, first.lowest_sequence) == (2, 8)
    verifications.begin(ID, 0, 1, bumps_epoch=True, now_ms=0)
    assert (first.epoch, first.lowest_sequence) == (2, 8)


def test_an_answer_that_was_overtaken_is_refused() -> None:
    verifications = Verifications()
    first = verifications.begin(ID, 0, 0, bumps_epoch=False, now_ms=0)
    verifications.check(ID, first)
    verifications.forget(ID)
    second = verifications.begin(ID, 0, 0, bumps_epoch=False, now_ms=0)
    with pytest.raises(KafkaError) as caught:
        verifications.check(ID, first)
    assert caught.value.code is ErrorCode.INVALID_TXN_STATE
    verifications.check(ID, second)


def test_what_was_never_followed_by_an_append_is_forgotten_in_time() -> None:
    verifications = Verifications()
    verifications.begin(ID, 0, 0, bumps_epoch=False, now_ms=100)
    verifications.expire(199, 100)
    assert len(verifications) == 1
    verifications.expire(200, 100)
    assert verifications.get(ID) is None
