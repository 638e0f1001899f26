"""A full disk may refuse the leader epochs, which a flush writes: that is no failed sync, and the log goes on."""

import pytest
from ottla.storage.config import LogConfig
from ottla.storage.flush import NoRoom
from ottla.storage.log import Log
from support.batches import batch
from support.power_cut import PowerCutFiles

FOLDER = "/data/t-0"


def opened(files: PowerCutFiles) -> Log:
    files.make_directory(FOLDER)
    return Log.open(FOLDER, files=files, config=LogConfig(), now_ms=0, clean=False)


def test_nothing_counts_as_durable_and_the_next_flush_does_the_rest() -> None:
    files = PowerCutFiles()
    log = opened(files)
    log.append(memoryview(batch(b"a")), leader_epoch=3, now_ms=0)
    files.fill_disk(0)
    flush = log.begin_flush()
    assert flush is not None
    with pytest.raises(NoRoom) as refused:
        flush.run()
    log.finish_flush(flush, refused.value)
    assert log.recovery_point == 0
    assert log.poisoned is None
    files.free_disk()
    log.append(memoryview(batch(b"b")), leader_epoch=3, now_ms=0)
    log.flush()
    assert log.recovery_point == 2
    again = Log.open(FOLDER, files=files.kill(), config=LogConfig(), now_ms=0, clean=False, recovery_point=2)
    assert again.leader_epochs.epoch_for_offset(1) == 3
