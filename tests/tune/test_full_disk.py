"""Where a checkpoint cannot be written the user reads why."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystem

from tunesmith.errors import UserError
from tunesmith.tune.checkpoint import State, Writer, innermost
from tunesmith.tune.workspace import writing

STATE = State(1, {}, "fp32", 0.0, [], {}, 0)


def full(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileSystem, "create_stream", full)
    writer = Writer()
    writer.write(tmp_path, {"weight": torch.ones(3)}, STATE)
    with pytest.raises(UserError, match="No space left on device") as refusal, writing(tmp_path):
        writer.finish()
    assert "Traceback" not in refusal.value.message
    assert not (tmp_path / "last").is_symlink()


def test_of_several_processes_the_first_that_failed_is_heard() -> None:
    inner = CheckpointException("all_reduce", {3: (OSError("third"), None), 1: (OSError("first"), None)})
    assert str(innermost(CheckpointException("write", {0: (inner, None)}))) == "first"
    assert str(innermost(RuntimeError("torch's own"))) == "torch's own"
