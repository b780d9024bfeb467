"""What fits the memory is found by measuring, and what does not is refused with what would."""

from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest
import torch

from tests.toys import byte_tokenizer, random_examples, save_base, tiny_model
from tunesmith.errors import UserError
from tunesmith.models.load import load_model
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.recipe import Budget, Tune
from tunesmith.tune import limits, memory
from tunesmith.tune.feed import Layout
from tunesmith.tune.job import Job
from tunesmith.tune.memory import Need
from tunesmith.tune.run import tune

ROWS = random_examples(64, longest=60)


def fitted(need: Need, free: float, monkeypatch: pytest.MonkeyPatch, keeps: bool = False, **budget: object) -> int:
    monkeypatch.setattr(memory, "measure", lambda *_: need)
    monkeypatch.setattr(memory, "available", lambda device: free)
    return memory.fitted(tiny_model(), CrossEntropy(), Layout(0, 0), ROWS, Budget(**budget), "fp32", keeps)


def test_what_fits_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitted(Need(1e6, 1e3), 1e9, monkeypatch) == memory.MOST
    assert fitted(Need(1e6, 1e3), 1e9, monkeypatch, micro_tokens=123) == 123


def test_the_micro_batch_shrinks_to_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fitted(Need(1e6, 1e3), 1.2e6, monkeypatch)
    assert found == 80
    assert Need(1e6, 1e3).of(found) <= memory.SPARE * 1.2e6


def test_the_copy_that_a_checkpoint_is_written_from_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    need = Need(1e6, 1e3, kept=100_000)
    assert fitted(need, 1.4e6, monkeypatch) == 260
    assert fitted(need, 1.4e6, monkeypatch, keeps=True) == 60


def test_what_was_asked_for_and_does_not_fit_is_refused_with_what_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"set tune\.micro_tokens=80"):
        fitted(Need(1e6, 1e3), 1.2e6, monkeypatch, micro_tokens=500)


def test_a_row_that_does_not_fit_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"gradient_checkpointing=true.*adapter=lora"):
        fitted(Need(1e6, 1e3), 1.13e6, monkeypatch)


def measured_needs() -> list[memory.Need]:
    torch.set_num_threads(1)
    row = max(ROWS, key=len)
    needs = []
    for width in (64, 512):
        model = tiny_model(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=2, head_dim=width // 2)
        needs.append(memory.measure(model, CrossEntropy(), Layout(0, 0, True), row, Budget(), "fp32", 8192))
        assert all(parameter.grad is None for parameter in model.parameters())
    return needs


def test_the_measured_need_grows_with_the_tokens_and_with_the_model() -> None:
    """In a process of its own: one that has given memory back before would take that first, and show less.

    What a small model needs may still be found in memory that loading the libraries has left.
    """
    with get_context("spawn").Pool(1) as pool:
        small, large = pool.apply(measured_needs)
    assert small.per_token < large.per_token
    assert large.of(8192) - small.of(8192) > 5e6


def test_a_filling_has_so_many_tokens() -> None:
    for tokens in (60, 61, 62, 200):
        assert abs(sum(map(len, memory.filling(max(ROWS, key=len), tokens))) - tokens) <= 1


def group(folder: Path, most: str, used: int, names: tuple[str, str] = ("memory.max", "memory.current")) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (most, used), strict=True):
        (folder / name).write_text(f"{value}\n")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where control groups stand; `own` beside it says in which this process is."""
    monkeypatch.setattr(limits, "TREE", tmp_path / "tree")
    monkeypatch.setattr(limits, "OWN", tmp_path / "own")
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def test_a_container_grants_what_it_has_left(tree: Path) -> None:
    assert limits.left() == []
    group(tree, "max", 1000)
    assert limits.left() == []
    group(tree, "5000", 1000)
    assert limits.left() == [4000]


def test_the_limits_of_a_process_are_those_of_its_group_and_of_all_above(tree: Path) -> None:
    (tree.parent / "own").write_text("0::/slice/job/step\n")
    group(tree / "slice", "9000", 2000)
    group(tree / "slice" / "job", "3000", 1000)
    group(tree / "slice" / "job" / "step", "max", 500)
    group(tree / "slice" / "other", "10", 0)
    assert limits.left() == [7000, 2000]
    group(tree / "slice" / "job" / "step", "1500", 500)
    assert min(limits.left()) == 1000


def test_groups_of_the_first_version_are_read_too(tree: Path) -> None:
    (tree.parent / "own").write_text("5:cpu,cpuacct:/cpu\n4:name=systemd:/\n3:memory:/uid/job:1\n0::/\n")
    names = "memory.limit_in_bytes", "memory.usage_in_bytes"
    group(tree / "memory", "9223372036854771712", 7000, names)
    group(tree / "memory" / "uid" / "job:1", "4000", 1000, names)
    group(tree / "memory" / "cpu", "10", 0, names)
    assert min(limits.left()) == 3000


def test_copies_of_files_in_memory_are_not_in_the_way(tree: Path) -> None:
    group(tree, "5000", 4000)
    (tree / "memory.stat").write_text("anon 900\nfile 3000\ninactive_file 2500\nactive_file 500\n")
    assert limits.left() == [3500]
    (tree / "memory.stat").write_text("cache 3000\ninactive_file 0\ntotal_inactive_file 2000\n")
    assert limits.left() == [3000]


@pytest.mark.parametrize("own", ["0::/docker/abc\n", "0::/../beside\n"])
def test_a_container_that_does_not_see_its_own_path_has_the_limit_of_the_root(tree: Path, own: str) -> None:
    (tree.parent / "own").write_text(own)
    group(tree, "5000", 1000)
    group(tree.parent / "beside", "10", 0)
    assert limits.left() == [4000]


def test_what_is_free_is_what_the_tightest_group_has_left(tree: Path) -> None:
    (tree.parent / "own").write_text("0::/job\n")
    group(tree / "job", "2000000", 1000000)
    held = psutil.Process().memory_info().rss
    assert memory.available(torch.device("cpu")) == pytest.approx(held + 1e6, abs=1e8)


def test_a_run_that_would_not_fit_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = save_base(tmp_path / "base")
    rows = random_examples(8)
    monkeypatch.setattr(memory, "available", lambda device: 1.0)
    job = Job(
        model=load_model(str(base)), tokenizer=byte_tokenizer(), examples=rows, stage=Tune(base=str(base)), inputs={}
    )
    with pytest.raises(UserError, match="GB are free"):
        tune(job, tmp_path / "out")
    assert not (tmp_path / "out").exists()
