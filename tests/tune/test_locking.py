"""Two runs never write one OUT."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toys import byte_tokenizer, random_examples, save_base
from tests.tune.test_resume import KillAt, in_child, lines
from tunesmith.errors import UserError
from tunesmith.models.load import load_model
from tunesmith.recipe import Budget, Tune
from tunesmith.tune import locking
from tunesmith.tune.job import Job
from tunesmith.tune.locking import lock_file, locked
from tunesmith.tune.run import tune
from tunesmith.tune.workspace import Workspace, refuse_occupied

BUDGET = Budget(epochs=1, lr=1e-2, batch_size=4, micro_tokens=80, precision="fp32", checkpoint_every=2, eval_share=0.0)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


def job(base: Path) -> Job:
    stage = Tune(base=str(base), tune=BUDGET)
    tokenizer, examples = byte_tokenizer("<|im_end|>"), random_examples(24)
    return Job(model=load_model(str(base)), tokenizer=tokenizer, examples=examples, stage=stage, inputs={})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_beside_another_is_refused_and_leaves_its_folder_alone(base: Path, tmp_path: Path, resume: bool) -> None:
    space = Workspace(tmp_path / "deep" / "out")
    with space.alone():
        space.begin(False)
        (space.hidden / "log.jsonl").write_text("theirs")
        with pytest.raises(UserError, match="another run is writing"):
            tune(job(base), space.out, resume)
        with pytest.raises(UserError, match="another run is writing"):
            refuse_occupied(space.out, resume)
        assert (space.hidden / "log.jsonl").read_text() == "theirs"
    tune(job(base), space.out, resume)
    assert names(space.out.parent) == {"out"}


def test_other_names_of_a_folder_are_that_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    with locked(tmp_path / "out"), pytest.raises(UserError, match="another run"), locked(tmp_path / "link"):
        pass


def test_the_lock_of_a_killed_run_ends_with_it(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert in_child(lambda: tune(job(base), out, watch=KillAt(5)))
    assert lock_file(out).exists()
    tune(job(base), out, resume=True)
    assert len(lines(out / "log.jsonl")) == 6
    assert names(tmp_path) == {"out"}


def test_who_waited_for_a_file_that_its_holder_removed_takes_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file is opened while another run holds it, and locked when that has removed it and ended."""
    path, whole = lock_file(tmp_path / "out"), locking.lock

    def late(handle: int, out: Path) -> None:
        monkeypatch.setattr(locking, "lock", whole)
        path.unlink()
        whole(handle, out)

    monkeypatch.setattr(locking, "lock", late)
    with locked(tmp_path / "out"), pytest.raises(UserError, match="another run"), locked(tmp_path / "out"):
        pass
    assert names(tmp_path) == set()


def test_of_many_at_once_one_holds_it(tmp_path: Path) -> None:
    """Each that comes in finds nobody there."""
    inside = tmp_path / "inside"

    def work() -> None:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            try:
                with locked(tmp_path / "out"):
                    inside.mkdir()
                    inside.rmdir()
            except UserError:
                continue
            except FileExistsError:
                (tmp_path / "two").touch()

    for child in [fork(work) for _ in range(4)]:
        assert os.waitpid(child, 0)[1] == 0
    assert names(tmp_path) == set()


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def test_where_the_file_system_has_no_locks_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(handle: int, how: int) -> None:
        raise OSError(locking.UNKNOWN[0], "Function not implemented")

    monkeypatch.setattr(locking.fcntl, "flock", unknown)
    with locked(tmp_path / "out"):
        assert names(tmp_path) == {".out.lock"}
    assert names(tmp_path) == set()
