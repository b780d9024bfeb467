"""Preparation as a whole: every row accounted for, the same bytes always, and nothing done twice after a kill."""

import errno
import json
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from tunesmith import formats
from tunesmith.data import engines, preparing, reading
from tunesmith.data.plan import load
from tunesmith.data.prepared import open_prepared
from tunesmith.errors import UserError
from tunesmith.formats.open import stream

OWN = "tests.data.own_steps"
TOKENIZER = str(Path(__file__).parents[2] / "src" / "tunesmith" / "models" / "nano" / "weights")


class Watch:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def begin(self, name: str, total: int) -> None:
        self.said.append(name)

    def advance(self, rows: int, done: int) -> None: ...

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    """Files of 16 rows, so that a few rows make many of them."""
    monkeypatch.setattr(reading, "ROWS", 16)
    monkeypatch.setattr(preparing, "ROWS", 16)


@pytest.fixture
def data(tmp_path):
    """Two sources: 60 rows in Alpaca's format, one of them empty, and 20 chats of four turns."""
    rows = [{"instruction": f"Say {n}.", "input": "", "output": "x" * (n % 9) or " "} for n in range(60)]
    turns = [{"role": role, "content": f"{role} {n}"} for n in range(2) for role in ("user", "assistant")]
    (tmp_path / "alpaca.json").write_text(json.dumps(rows))
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps({"messages": turns}) + "\n" for _ in range(20)))
    return tmp_path


def recipe(folder: Path, *steps: str) -> str:
    path = folder / "recipe.yaml"
    lines = ["sources:", "- {path: alpaca.json, licence: CC BY-NC 4.0}", "- chats.jsonl", "steps:"]
    path.write_text("\n".join([*lines, *(f"- {step}" for step in steps)]))
    return str(path)


def prepare(given: str, out: Path, workers: int = 1, watch: Watch | None = None):
    with engines.local(workers) as engine:
        return preparing.prepare(load([given]), out, engine, TOKENIZER, watch or Watch())


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


STEPS = (f"{OWN}:Halve", "lengths: {answer: 3}", f"{OWN}:Evenly", "lengths: {answer: 6}")


def test_every_row_is_kept_or_let_go_for_a_reason(data):
    report = prepare(recipe(data, *STEPS), data / "out")
    made = open_prepared(data / "out")
    kept = list(made.rows())
    rejects = list(made.rejects())
    assert report["read"] == 80
    assert report["rows"] == len(kept)
    read, halve, lengths, evenly, last = report["steps"]
    empty = sum(n % 9 == 0 for n in range(60))
    assert (read["in"], read["out"], read["reasons"]) == (80, 80 - empty, {"cannot be read": empty})
    assert (halve["in"], halve["out"]) == (80 - empty, 100 - empty)
    assert lengths["reasons"] == {"answer too short": sum(n % 9 in (1, 2) for n in range(60))}
    assert evenly["in"] == lengths["out"]
    assert evenly["out"] == 2 * (evenly["in"] - evenly["reasons"]["odd"])
    assert last["in"] == evenly["out"]
    assert last["out"] == len(kept)
    assert Counter(row["step"] for row in rejects) == {
        step["step"]: count for step in report["steps"] for count in [sum(step["reasons"].values())] if count
    } | {"lengths": sum(sum(step["reasons"].values()) for step in (lengths, last))}
    pieces = {f"alpaca/{n}" for n in range(1, 61)} | {f"chats/{n}{end}" for n in range(1, 21) for end in ("", ".2")}
    assert {row["id"].partition("~")[0] for row in [*kept, *rejects]} == pieces


def test_what_is_kept_can_be_traced_and_read_by_every_verb(data):
    prepare(recipe(data, "lengths: {answer: 3}"), data / "out")
    row = next(open_prepared(data / "out").rows())
    assert (row["id"], row["source"], row["language"], row["licence"]) == ("alpaca/4", "alpaca", "en", "CC BY-NC 4.0")
    assert row["file"] == str(data / "alpaca.json")
    before = [one for one in formats.read([str(data / "alpaca.json")]) if getattr(one, "messages", None)]
    after = list(formats.read([str(data / "out")]))
    assert len(after) == 39 + 20
    assert after[0].messages == before[2].messages  # rows 0 is refused, 1 and 2 are too short
    assert after[0].origin == before[2].origin


def test_any_number_of_workers_makes_the_same_bytes(data):
    given = recipe(data, *STEPS)
    prepare(given, data / "one", workers=1)
    prepare(given, data / "two", workers=2)
    assert contents(data / "one") == contents(data / "two")


def test_a_killed_run_goes_on_with_the_file_it_was_in(data, monkeypatch):
    """The worker dies in the middle; the second run makes again only what was not there, with the same bytes."""
    monkeypatch.setenv("KILLED", str(data / "killed.mark"))
    steps = (f"{OWN}:KillOnce: {{at: Say 30.}}", f"{OWN}:Evenly")
    with pytest.raises(UserError, match="ended suddenly"):
        prepare(recipe(data, *steps), data / "out", workers=2)
    assert (data / ".out.partial" / "0" / "complete.json").exists()
    watch = Watch()
    prepare(recipe(data, *steps), data / "out", watch=watch)
    assert "going on" in watch.said[0]
    assert "reading" not in watch.said
    (data / "out").rename(data / "killed")
    prepare(recipe(data, *steps), data / "out")
    assert contents(data / "out" / "data") == contents(data / "killed" / "data")
    assert not (data / ".out.partial").exists()


@pytest.mark.parametrize("stop", ["3.rejects.arrow", "decision", "result", "report.json"])
def test_whatever_stops_a_run_the_next_one_ends_it(data, monkeypatch, stop):
    """The disk fills up at one file or another: told as such, and what is done is kept."""
    given, real = recipe(data, *STEPS), preparing.whole_file.__wrapped__
    prepare(given, data / "whole")

    def full(path, *rest):
        if stop in str(path):
            raise OSError(errno.ENOSPC, "full")
        return real(path, *rest)

    with monkeypatch.context() as patch:
        from contextlib import contextmanager

        for module in ("artifact", "data.entries", "data.preparing", "data.prepared"):
            patch.setattr(f"tunesmith.{module}.whole_file", contextmanager(full))
        with pytest.raises(UserError, match="no space is left"):
            prepare(given, data / "out")
    assert not (data / "out").exists()
    prepare(given, data / "out")
    assert contents(data / "out") == contents(data / "whole")


def test_work_of_other_data_or_steps_is_not_used(data):
    with pytest.raises(ZeroDivisionError):
        prepare(recipe(data, f"{OWN}:Broken"), data / "out")
    watch = Watch()
    prepare(recipe(data, "lengths: {answer: 3}"), data / "out", watch=watch)
    assert "begun anew" in watch.said[0]


def test_a_step_that_fails_names_the_row(data):
    with pytest.raises(ZeroDivisionError) as failure:
        prepare(recipe(data, f"{OWN}:Broken"), data / "out")
    assert "alpaca/6" in failure.value.__notes__[0]


@pytest.mark.parametrize(
    ("step", "needles"),
    [
        ("lenghts", ["recipe.yaml:5", "did you mean 'lengths'"]),
        ("lengths: {anser: 3}", ["recipe.yaml:5", "anser", "answer"]),
        ("lengths: {answer: many}", ["recipe.yaml:5", "lengths.answer", "options: question=1"]),
        ("[lengths]", ["recipe.yaml:5", "a step is a name"]),
        (f"{OWN}:KillOnce", ["needs the option 'at'"]),
        (f"{OWN}:Nothing", ["is no step"]),
        ("not.there:Step", ["cannot be imported"]),
    ],
)
def test_a_recipe_that_is_wrong_is_refused_with_its_line(data, step, needles):
    with pytest.raises(UserError) as refusal:
        prepare(recipe(data, step), data / "out")
    assert all(needle in str(refusal.value) for needle in needles), str(refusal.value)
    assert not list(data.glob(".out*"))


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("sources: [{path: a.json, name: x}, {path: b.json, name: x}]", "two sources are called 'x'"),
        ("sources: [a.json, a.json]", "two sources are called 'a.json'"),
        ("sources: [{name: x}]", "a source without a path"),
        ("sources: [nowhere.json]", "does not exist"),
        ("source: [a.json]", "sources, steps"),
        ("steps: [lengths]", "names no sources"),
        ("- a\n- b", "holds no settings"),
        ("sources: [", "not valid YAML"),
        ("sources: [{path: a.json, licens: MIT}]", "licence"),
    ],
)
def test_sources_that_are_wrong_are_refused(tmp_path, text, needle):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as refusal:
        load([str(path)])
    assert needle in str(refusal.value)


def test_nothing_left_is_refused_and_the_work_is_kept(data):
    with pytest.raises(UserError, match="no row is left"):
        prepare(recipe(data, "lengths: {answer: 999}"), data / "out")
    assert not (data / "out").exists()
    assert list((data / ".out.partial" / "1").glob("*.rejects.arrow"))


def test_sources_are_named_by_the_shortest_end_that_tells_them_apart(data):
    other = data / "more"
    other.mkdir()
    (other / "alpaca.json").write_bytes((data / "alpaca.json").read_bytes())
    plan = load([str(data / "alpaca.json"), str(other / "alpaca.json"), str(data / "chats.jsonl")])
    names = [source.name for source in plan.sources]
    assert names == [f"{data.name}/alpaca", "more/alpaca", "chats"]


def test_a_field_without_end_is_let_go_and_the_rest_is_prepared(data, monkeypatch):
    monkeypatch.setattr(stream, "LONGEST", 5000)
    monkeypatch.setattr(stream, "CHUNK", 1000)
    rows = [{"instruction": "Go on.", "input": "", "output": "x" * size} for size in (3, 50_000, 4)]
    (data / "long.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = prepare(str(data / "long.jsonl"), data / "out")
    assert (report["rows"], report["read"]) == (2, 3)
    (reject,) = open_prepared(data / "out").rejects()
    assert (reject["line"], reject["reason"]) == (2, "cannot be read")
    assert "is longer than" in reject["detail"]


def test_names_in_chinese_are_drawn_without_a_word_of_warning(data, recwarn):
    (data / "中文.json").write_bytes((data / "alpaca.json").read_bytes())
    prepare(str(data / "中文.json"), data / "out")
    assert "中文" in (data / "out" / "report.html").read_text()
    assert [str(one.message) for one in recwarn if "Glyph" in str(one.message)] == []


def test_the_report_warns_of_licences_and_shows_examples(data):
    report = prepare(recipe(data, "lengths: {answer: 3}"), data / "out")
    assert any("not for commercial use" in warning for warning in report["warnings"])
    assert any("chats" in warning and "no licence" in warning for warning in report["warnings"])
    (example, *_) = report["examples"]["lengths"]["answer too short"]
    assert example["id"] == "alpaca/2"
    page = (data / "out" / "report.html").read_text()
    assert page.count("<svg") == 3  # no question here has a verb and a noun
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "")


def test_words_of_a_row_cannot_break_out_of_the_page(data):
    rows = [{"instruction": "<script>alert(1)</script>", "output": "x"}, {"instruction": "a", "output": "long"}]
    (data / "evil.json").write_text(json.dumps(rows))
    path = data / "evil.yaml"
    path.write_text("sources: [evil.json]\nsteps: [{lengths: {answer: 2}}]")
    prepare(str(path), data / "out")
    page = (data / "out" / "report.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_ray_makes_the_same_bytes(data):
    """On one machine; on a cluster the folders must be shared."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'tunesmith[ray]'")
    given = recipe(data, f"{OWN}:Halve", f"{OWN}:Evenly")
    prepare(given, data / "here")
    with engines.ray(1) as engine:
        preparing.prepare(load([given]), data / "there", engine, TOKENIZER, Watch())
    assert contents(data / "there") == contents(data / "here")


def test_a_step_may_order_repeat_and_complete_rows(data):
    (data / "chats.jsonl").unlink()
    path = data / "recipe.yaml"
    path.write_text(f"sources: [alpaca.json]\nsteps: [{{lengths: {{answer: 8}}}}, '{OWN}:Backwards']")
    report = prepare(str(path), data / "out")
    rows = [(row["id"], row["messages"][0]["content"]) for row in open_prepared(data / "out").rows()]
    numbers = [n for n in range(60) if n % 9 == 8]
    follow = dict(zip(numbers, [f"Say {n}." for n in numbers[1:]] + [None], strict=True))
    once = [(f"alpaca/{n + 1}", f"{follow[n]}|Say {n}." if follow[n] else f"Say {n}.") for n in reversed(numbers)]
    assert rows == [*once, *((f"{name}~2", text) for name, text in once)]
    assert report["steps"][-1]["changed"] == 2 * len(numbers) - 2


TEMPLATES = """
dataset: toys
templates:
  a: !Template {name: ask, jinja: "Is {{text}} good? ||| {{ label }}", metadata: !TemplateMetadata {}}
  b: !Template {name: tell, jinja: "{{text}}: tell. ||| {{ label }}", metadata: !TemplateMetadata {}}
"""


@pytest.mark.parametrize(("per_row", "count"), [("one", 6), ("all", 12)])
def test_raw_rows_are_put_into_words_by_prompt_templates(tmp_path, per_row, count):
    (tmp_path / "toys.jsonl").write_text(
        "".join(json.dumps({"text": f"t{n}", "label": n % 2}) + "\n" for n in range(6))
    )
    (tmp_path / "templates.yaml").write_text(TEMPLATES)
    (tmp_path / "recipe.yaml").write_text(
        f"sources: [{{path: toys.jsonl, templates: templates.yaml, per_row: {per_row}}}]\nsteps: [lengths]"
    )
    prepare(str(tmp_path / "recipe.yaml"), tmp_path / "out")
    rows = list(open_prepared(tmp_path / "out").rows())
    assert len(rows) == count
    words = {message["content"] for row in rows for message in row["messages"]}
    assert words & {"Is t1 good?", "t1: tell."}
    assert json.loads(rows[0]["tags"])[0] == ["task", "toys"]
    (tmp_path / "templates.yaml").write_text("dataset: x")
    with pytest.raises(UserError, match="templates"):
        prepare(str(tmp_path / "recipe.yaml"), tmp_path / "again")
    assert not list(tmp_path.glob(".again*"))
