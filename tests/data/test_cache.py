"""What was prepared once is not prepared again, comes back as it was, and is never used for anything else."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.conftest import PORTION, restored, same, stage, tokenizer
from tests.toys import byte_tokenizer
from tunesmith.data import cache, inputs, key
from tunesmith.errors import ProofError, UserError
from tunesmith.stages.examples import Preparation, find_entry, prepare
from tunesmith.text import template
from tunesmith.text.render import Renderer


def alpaca(number, words="word "):
    return {"instruction": f"Say {number}.", "input": "", "output": f"{number} " + words * (number % 7)}


def chat(number, thinking=False):
    turns = [("user", f"Ask {number}?"), ("assistant", f"First {number}."), ("user", "And?"), ("assistant", "Last.")]
    messages = [{"role": role, "content": text} for role, text in turns]
    if thinking:
        messages = [messages[0], messages[1] | {"reasoning_content": "Let me see."}]
    return {"messages": messages}


ALPACA = [alpaca(number) for number in range(30)]
CHATS = [chat(number, thinking=number > 15) for number in range(30)]
BROKEN = [*ALPACA[:5], {"instruction": "no answer \ud800"}, {"instruction": "half", "output": "\ud83d"}, *ALPACA[5:]]
PROSE = [{"text": f"Paragraph {number}. " * 9} for number in range(20)]
LONG = [chat(number) for number in range(9)] + [alpaca(6, "long " * 40)]


@pytest.fixture
def unable(monkeypatch):
    """From the call on, rendering anything is a failure."""

    def forbid():
        def render(*_):
            raise AssertionError("rendered although it had been")

        monkeypatch.setattr(Renderer, "render", render)

    return forbid


@pytest.mark.parametrize("rows", [ALPACA, CHATS, BROKEN, PROSE, LONG, CHATS[:PORTION]])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"template": "thinker"},
        {"template": "alpaca", "mask": "last_answer", "thinking": "none"},
        {"mask": "everything", "max_length": 110, "overlong": "split"},
        {"max_length": 110},
    ],
)
def test_what_comes_from_the_cache_is_what_was_made(rows, options, bench, unable):
    data = bench.write(rows)
    options = options | ({"template": bench.thinker()} if options.get("template") == "thinker" else {})
    fresh = bench.run(data, **options)
    assert not bench.reused
    unable()
    assert same(bench.run(data, **options), fresh)
    assert bench.reused


@pytest.mark.parametrize(("name", "options"), [("chatml", {}), ("qwen", {"thinking": "none"})])
@given(rows=st.lists(st.sampled_from([*ALPACA, *BROKEN]), min_size=1, max_size=25))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rows_come_back(name, options, rows, bench):
    data = bench.write([*rows, alpaca(1)])
    options = {"template": name, "format": "alpaca", **options}
    fresh = bench.run(data, **options)
    assert same(bench.run(data, **options), fresh)
    assert bench.reused


def test_conversations_before_documents_and_files_in_order(bench):
    data = (bench.write(PROSE, "prose.jsonl"), bench.write(ALPACA, "rows.jsonl"))
    fresh = bench.run(data)
    assert [Path(example.origin.file).name for example in fresh.examples] == ["rows.jsonl"] * 30 + ["prose.jsonl"] * 20
    assert same(bench.run(data), fresh)
    assert bench.reused
    for other in (data[::-1], data[1:], (*data, data[0])):
        bench.run(other)
        assert not bench.reused


@pytest.mark.parametrize(
    "other",
    [
        {"mask": "last_answer"},
        {"thinking": "none"},
        {"template": "qwen"},
        {"format": "alpaca"},
        {"max_length": 2047},
        {"overlong": "split"},
        {"merges": 5},
    ],
)
def test_another_option_or_tokenizer_is_another_entry(other, bench):
    data = bench.write(ALPACA)
    bench.run(data)
    bench.run(data, **other)
    assert not bench.reused
    assert len(bench.entries) == 2


def test_settings_that_change_no_token_share_the_entry(bench):
    data = bench.write(ALPACA)
    bench.run(data)
    bench.run(data, adapter="lora", base="another", tune=replace(stage(data).tune, lr=1.0, epochs=9, seed=4))
    assert bench.reused


def test_other_content_is_seen_where_size_and_time_are_the_same(bench):
    data = bench.write(ALPACA)
    old = bench.run(data)
    restored(data, Path(data).read_bytes().replace(b"Say 7.", b"Say 8."))
    new = bench.run(data)
    assert not bench.reused
    assert old.examples != new.examples
    assert old.inputs != new.inputs


def test_a_template_file_counts_by_what_is_in_it(bench, tmp_path):
    data, jinja = bench.write(ALPACA), tmp_path / "mine.jinja"
    jinja.write_text((Path(template.__file__).parent / "templates" / "chatml.jinja").read_text())
    bench.run(data, template=str(jinja))
    jinja.write_text(jinja.read_text().replace("\\n", "\\n\\n", 1))
    bench.run(data, template=str(jinja))
    assert not bench.reused


@pytest.mark.parametrize(
    ("where", "value"),
    [("key.program_hash", lambda: "another"), ("key.language", lambda: "zh"), ("key.metadata.version", lambda _: "9")],
)
def test_another_program_library_or_language_makes_its_own(where, value, bench, monkeypatch):
    data = bench.write(ALPACA)
    bench.run(data)
    monkeypatch.setattr(f"tunesmith.data.{where}", value)
    bench.run(data)
    assert not bench.reused


def test_the_end_of_text_is_part_of_the_tokenizer(bench):
    data = inputs.take([bench.write(ALPACA)])
    one, other = tokenizer(), tokenizer()
    other.eos_token = "<s>"
    assert one.backend_tokenizer.to_str() == other.backend_tokenizer.to_str()
    parts = [key.ingredients(stage(tuple(data.contents)), data, each, None) for each in (one, other)]
    assert key.key(parts[0]) != key.key(parts[1])


def test_any_module_or_message_of_ours_makes_another_program(tmp_path, monkeypatch):
    shutil.copytree(key.PACKAGE, tmp_path / "own", ignore=shutil.ignore_patterns("__pycache__", "weights"))
    monkeypatch.setattr(key, "PACKAGE", tmp_path / "own")
    before = key.program_hash.__wrapped__()
    for name in ("text/render.py", "formats/alpaca.py", "stages/reading.py", "batch.py", "locale/zh/text.json"):
        with (tmp_path / "own" / name).open("a") as handle:
            handle.write("\n")
        after = key.program_hash.__wrapped__()
        assert after != before
        before = after
    assert key.program_hash.__wrapped__() == before


@pytest.mark.parametrize(
    ("jinja", "expected"),
    [
        ("{{ strftime_now('%Y') }}", (time.strftime("%Y"),)),
        ("{% if strftime_now is defined %}{{ strftime_now('year') }}{% endif %}", ("year",)),
        ("{{ messages }}", ()),
        ("{{ strftime_now(form) }}", None),
        ("{% set now = strftime_now %}{{ now('%Y') }}", None),
        ("{{ [1, 2] | random }}", None),
        ("{{ lipsum() }}", None),
    ],
)
def test_a_template_tells_what_it_takes_from_the_clock(jinja, expected):
    assert template.moment(template.Template("mine", jinja)) == expected


def test_what_is_made_after_midnight_is_not_kept_under_the_old_date(bench, tmp_path, monkeypatch):
    data, jinja = bench.write(ALPACA), tmp_path / "dated.jinja"
    shipped = (Path(template.__file__).parent / "templates" / "chatml.jinja").read_text()
    jinja.write_text(shipped + "{# #}{% if false %}{{ strftime_now('%d') }}{% endif %}")
    monkeypatch.setattr("tunesmith.data.key.moment", lambda _: ("tomorrow",))
    bench.run(data, template=str(jinja))
    assert [list(entry.iterdir()) for entry in bench.entries] in ([], [[]])


def test_a_template_with_the_date_is_kept_for_the_day(bench, tmp_path, monkeypatch):
    data, jinja = bench.write(ALPACA), tmp_path / "dated.jinja"
    shipped = (Path(template.__file__).parent / "templates" / "chatml.jinja").read_text()
    jinja.write_text("{{ strftime_now('%d %b %Y') }}" + shipped)
    bench.run(data, template=str(jinja))
    bench.run(data, template=str(jinja))
    assert bench.reused
    monkeypatch.setattr("tunesmith.data.key.moment", lambda _: ("tomorrow",))
    bench.run(data, template=str(jinja))
    assert not bench.reused


def test_a_template_that_throws_dice_is_not_kept(bench, tmp_path):
    jinja = tmp_path / "dice.jinja"
    shipped = (Path(template.__file__).parent / "templates" / "chatml.jinja").read_text()
    jinja.write_text(shipped + "{% if false %}{{ [1, 2] | random }}{% endif %}")
    bench.run(bench.write(ALPACA), template=str(jinja))
    assert bench.entries == []
    assert "not kept" in bench.told[0]


def test_data_from_a_hub_is_not_kept(bench):
    unknown = inputs.Inputs({"owner/name": None}, [])
    assert find_entry(stage("owner/name"), unknown, byte_tokenizer(), bench.told.append) is None


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone"])
@pytest.mark.parametrize("name", ["000001", cache.COMPLETE])
def test_a_damaged_file_is_told_and_made_again(damage, name, bench):
    data = bench.write(CHATS)
    fresh = bench.run(data)
    file = bench.entries[0] / name
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) * 2 // 3] ^= 1
    made = {"cut": whole[:-7], "flip": bytes(flipped), "empty": b""}
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(made[damage])
    assert same(bench.run(data), fresh)
    assert not bench.reused
    assert [line for line in bench.told if "damaged" in line] == [
        f"{file} is damaged and is made again" for _ in range(damage != "gone")
    ]
    assert file.read_bytes() == whole


def test_only_the_portions_that_are_missing_are_made(bench, monkeypatch):
    data, thinker = bench.write(CHATS), bench.thinker()
    fresh = bench.run(data, template=thinker)
    assert fresh.renderer.ways == (False, True)
    for name in ("000002", cache.COMPLETE):
        (bench.entries[0] / name).unlink()
    made = []
    render = Renderer.render
    monkeypatch.setattr(Renderer, "render", lambda self, rows: made.append(rows) or render(self, rows))
    assert same(bench.run(data, template=thinker), fresh)
    assert [[row.origin.line for row in rows] for rows in made] == [list(range(17, 25))]
    assert bench.told == ["going on from the token cache: 3 portions were made before"]


def test_two_runs_at_once_share_an_entry(bench, monkeypatch):
    data = bench.write(CHATS)
    runs = []
    for _ in range(2):
        found, own = inputs.take([data]), tokenizer()
        entry = find_entry(stage(data), found, own, bench.told.append)
        runs.append(prepare(Preparation(stage(data), own), found, entry))
    with monkeypatch.context() as patch:
        patch.setattr(cache.Cache, "load", lambda *_: None)  # neither has seen what the other wrote
        made = list(zip(*runs, strict=True))
    assert all(one == other for one, other in made)
    bench.run(data)
    assert bench.reused


def in_child(work):
    """Run in a forked process; returns the signal that ended it, 0 if none did."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("torn", [True, False])
@pytest.mark.parametrize("files", range(6))
def test_a_run_killed_while_it_writes_is_gone_on_with(files, torn, bench, monkeypatch):
    """Killed in its n-th file, half of it on the disk or all, under its temporary name."""
    data, thinker = bench.write(CHATS), bench.thinker()
    written, fsync = [], os.fsync

    def kill(handle):
        written.append(handle)
        if len(written) > files:
            os.truncate(handle, os.fstat(handle).st_size // 2 if torn else os.fstat(handle).st_size)
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", kill)
        ended = in_child(lambda: bench.run(data, template=thinker))
    assert ended == (signal.SIGKILL if files < 5 else 0)
    rendered, render = [], Renderer.render
    monkeypatch.setattr(Renderer, "render", lambda self, rows: rendered.extend(rows) or render(self, rows))
    again = bench.run(data, template=thinker)
    assert [chat.origin.line for chat in rendered] == list(range(1, 31))[files * PORTION :]
    assert ("going on from" in " ".join(bench.told)) == (0 < files < 5)
    assert bench.reused == (files == 5)
    (bench.folder / "cache").rename(bench.folder / "away")
    assert same(bench.run(data, template=thinker), again)
    assert bench.told == []


def test_a_file_that_changes_while_it_is_read_is_refused(bench, monkeypatch):
    data = bench.write(ALPACA)
    render = Renderer.render

    def meddle(self, rows):
        with open(data, "a") as handle:
            handle.write(json.dumps(alpaca(99)) + "\n")
        return render(self, rows)

    monkeypatch.setattr(Renderer, "render", meddle)
    with pytest.raises(UserError, match="changed while it was read"):
        bench.run(data)
    assert [list(entry.iterdir()) for entry in bench.entries] in ([], [[]])


def test_a_file_that_is_only_touched_is_the_same(bench, monkeypatch):
    data = bench.write(ALPACA)
    render = Renderer.render
    monkeypatch.setattr(Renderer, "render", lambda self, rows: os.utime(data) or render(self, rows))
    assert bench.run(data).counts["kept"] == 30
    bench.run(data)
    assert bench.reused


def test_a_file_that_joins_the_folder_meanwhile_is_seen(bench, monkeypatch, tmp_path):
    (tmp_path / "folder").mkdir()
    bench.write(ALPACA, "folder/a.jsonl")
    render = Renderer.render
    monkeypatch.setattr(
        Renderer, "render", lambda self, rows: bench.write(CHATS, "folder/b.jsonl") and render(self, rows)
    )
    with pytest.raises(UserError, match="changed while it was read"):
        bench.run(str(tmp_path / "folder"))


def test_a_data_set_of_a_registry_counts_by_its_file(bench, tmp_path):
    (tmp_path / "dataset_info.json").write_text(json.dumps({"mine": {"file_name": "rows.jsonl"}}))
    bench.write(ALPACA)
    first = bench.run(f"{tmp_path}#mine")
    bench.run(f"{tmp_path}#mine")
    assert bench.reused
    bench.write(ALPACA[1:])
    second = bench.run(f"{tmp_path}#mine")
    assert not bench.reused
    assert first.inputs != second.inputs


def test_a_proof_that_failed_fails_again(bench, monkeypatch):
    data = bench.write(ALPACA)
    monkeypatch.setattr("tunesmith.text.proofs.Rules._second_bos", lambda *_: "two of them")
    told = []
    for _ in range(2):
        with pytest.raises(ProofError) as refused:
            bench.run(data)
        told.append(str(refused.value))
    assert told[0] == told[1]
    assert "rows.jsonl:1 messages[1]: two of them" in told[0]
    assert bench.reused


def test_without_room_to_write_a_run_goes_on(bench, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert bench.run(bench.write(ALPACA)).counts["kept"] == 30
    assert len(bench.told) == 1
    assert "cannot be written" in bench.told[0]


def test_the_cache_is_for_its_owner_alone(bench):
    bench.run(bench.write(ALPACA))
    assert bench.entries[0].parent.stat().st_mode & 0o077 == 0


def test_old_entries_make_room(bench, monkeypatch, tmp_path):
    data = bench.write(ALPACA)
    for length in (1000, 1001, 1002):
        bench.run(data, max_length=length)
    (tmp_path / "cache" / "tunesmith" / "tokens" / "of the user").mkdir()
    oldest, older, newer = sorted(
        (entry for entry in bench.entries if len(entry.name) == 64), key=lambda entry: entry.stat().st_mtime_ns
    )
    os.utime(oldest, (time.time() - cache.AGE - 60,) * 2)
    os.utime(older, (time.time() - cache.AGE + 60,) * 2)
    bench.run(data, max_length=1003)
    assert not oldest.exists()
    assert older.exists()
    monkeypatch.setattr(cache, "ROOM", 2 * cache.size(newer) + 1000)
    bench.run(data, max_length=1004)
    assert [entry.exists() for entry in (older, newer)] == [False, False]
    assert len(bench.entries) == 3  # the newest two, and what is not ours


def test_using_an_entry_keeps_it(bench):
    data = bench.write(ALPACA)
    bench.run(data)
    os.utime(bench.entries[0], (0, 0))
    bench.run(data)
    assert time.time() - bench.entries[0].stat().st_mtime < 60


def test_a_folder_whose_name_is_no_utf8_has_a_key_of_its_own(tmp_path):
    """File systems hold names of any bytes; two files make the key that of a folder, from its names."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"\xff1.json")).write_text(json.dumps(ALPACA))
    (folder / "2.json").write_text(json.dumps(CHATS))
    files = tuple((str(file), inputs.content_hash(file)) for file in sorted(folder.iterdir()))
    assert inputs.path_hash(str(folder), files) != inputs.path_hash(str(folder), files[:1])
