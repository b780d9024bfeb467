"""Files as they come: packed, damaged, mislabelled, endless. Always records or refusals, never a traceback."""

import csv
import gzip
import io
import json
import sys

import pytest

from tunesmith import formats
from tunesmith.errors import UserError
from tunesmith.formats.open import stream
from tunesmith.records import Document, Refusal

GOOD = [{"instruction": f"Add {i} and {i}.", "input": "", "output": str(2 * i)} for i in range(1, 6)]
LINES = "".join(json.dumps(row) + "\n" for row in GOOD)


def answers(records):
    return [record.messages[-1].text for record in records]


def all_good(found):
    kept, refused = found
    return answers(kept) == ["2", "4", "6", "8", "10"] and not refused


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(GOOD)),
        ("a.json", json.dumps(GOOD, indent=4)),
        ("a.json", LINES),
        ("a.jsonl", LINES),
        ("a.jsonl", LINES.rstrip("\n")),
        ("a.jsonl", "\ufeff" + LINES),
        ("a.json", "\ufeff" + json.dumps(GOOD, indent=1)),
        ("a.jsonl", LINES.replace("\n", "\r\n\r\n")),
        ("a.json", "\n\n" + "\n".join(json.dumps(row, indent=2) for row in GOOD)),
        ("a.json", json.dumps({"version": 1, "data": GOOD})),
        ("a.json", json.dumps({"rows": GOOD, "note": "after"}, indent=2)),
        ("a.weird", json.dumps(GOOD)),
        ("a.jsonl.gz", gzip.compress(LINES.encode())),
        ("a.json", gzip.compress(json.dumps(GOOD).encode())),
        ("a.jsonl.gz", LINES),
    ],
)
def test_the_content_tells_how_a_file_is_stored(save, read, name, content):
    assert all_good(read(save(name, content)))


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv.gz", ",")])
def test_tables_may_have_line_breaks_in_their_cells(save, read, name, delimiter):
    table = io.StringIO()
    writer = csv.writer(table, delimiter=delimiter)
    writer.writerow(["instruction", "input", "output"])
    writer.writerow(["Two lines:\nhere", "", "a\nb, c\td"])
    writer.writerow(["One", "x", 'said "y"'])
    kept, refused = read(save(name, table.getvalue()))
    assert answers(kept) == ["a\nb, c\td", 'said "y"']
    assert kept[0].messages[0].text == "Two lines:\nhere"
    assert [record.origin.line for record in kept] == [2, 5]
    assert not refused


def test_parquet_records_are_numbered(tmp_path, read):
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(GOOD), path)
    found = read(path)
    assert all_good(found)
    assert [record.origin.line for record in found[0]] == [1, 2, 3, 4, 5]
    path.write_bytes(path.read_bytes()[:-40])
    kept, refused = read(path)
    assert not kept
    assert "cannot be read to its end" in refused[0].reason


def test_a_folder_is_read_sorted_and_prose_only_where_nothing_else_is(save, tmp_path, read):
    save("data/b.json", GOOD[:1])
    save("data/deep/a.jsonl", GOOD[1:2])
    save("data/README.md", "About the data.")
    save("data/.hidden/c.json", GOOD)
    assert answers(read(tmp_path / "data")[0]) == ["2", "4"]
    save("prose/2.txt", "two")
    save("prose/1.md", "one")
    assert [record.text for record in read(tmp_path / "prose")[0]] == ["one", "two"]


def test_lines_are_those_of_the_file(save, read):
    kept, _ = read(save("a.json", "\n\n[\n" + ",\n\n".join(json.dumps(row, indent=1) for row in GOOD) + "]"))
    assert [record.origin.line for record in kept] == [4, 10, 16, 22, 28]
    kept, _ = read(save("a.jsonl", "\n" + LINES.replace("\n", "\n\n")))
    assert [record.origin.line for record in kept] == [2, 4, 6, 8, 10]


def test_unusual_line_separators_are_text(save, read):
    words = "a\u2028b\u2029c\x85d\x0be\x0cf"
    row = {"instruction": words, "output": words}
    for name in ("a.jsonl", "a.json"):
        kept, refused = read(save(name, [row, row]))
        assert [record.messages[1].text for record in kept] == [words, words]
        assert not refused


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b"", "is empty"),
        ("a.jsonl", b" \n\n", "is empty"),
        ("a.json", b"[]", "holds no records"),
        ("a.csv", b"instruction,output\n", "holds no records"),
        ("a.json", LINES.encode("utf-16"), "is UTF-16"),
        ("a.json", LINES.encode("utf-16-le"), "is UTF-16"),
        ("a.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 5\n", "Git LFS pointer"),
        ("a.jsonl.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 5\n", "Git LFS pointer"),
        ("a.json", bytes(range(256)) * 20, "is binary"),
        ("a.txt", b"\x89PNG\r\n\x1a\n" + bytes(200), "is binary"),
        ("a.parquet", b"PAR1 and no more", "cannot be read to its end"),
    ],
)
def test_a_file_with_nothing_in_it_says_why(save, read, name, content, reason):
    kept, (refusal,) = read(save(name, content))
    assert not kept
    assert reason in refusal.reason
    assert refusal.field == "file"
    assert refusal.cure


@pytest.mark.parametrize(
    ("broken", "field", "reason"),
    [
        ('{"instruction": "a", "output": "b"', "record", "is not valid JSON"),
        ('{"instruction": "a", "output": "b",}', "record", "is not valid JSON"),
        ("{'instruction': 'a'}", "record", "is not valid JSON"),
        ('{"instruction": "a", "output": "two\x00"}', "record", "is not valid JSON"),
        ('{"instruction": "a", "output": "b\\u0000"}', "output", "holds a NUL character"),
        ('{"instruction": "a", "output": "b\\ud83d"}', "output", "half a surrogate pair (U+D83D) at character 2"),
        ('{"instruction": "a", "output": 3.5}', "output", "is the number 3.5, not text"),
        ('{"instruction": ["a"], "output": "b"}', "instruction", "is a list, not text"),
        ('{"instruction": {"a": 1}, "output": "b"}', "instruction", "is an object, not text"),
        ('{"instruction": true, "output": "b"}', "instruction", "is true or false, not text"),
        ('{"instruction": "a", "output": null}', "output", "is missing"),
        ('{"instruction": "a", "output": " \\n"}', "output", "is empty"),
        ('{"instruction": "", "output": "b"}', "instruction", "is empty"),
        ('{"output": "b"}', "instruction", "is missing"),
        ("17", "record", "is the number 17, not an object"),
        ('["a", "b"]', "record", "is a list, not an object"),
        ('"words"', "record", "is a text, not an object"),
        ("null", "record", "is nothing, not an object"),
        ("[" * 100_000, "record", "is not valid JSON"),
        ("1" * 5000, "record", "is not valid JSON"),
    ],
)
def test_one_bad_line_is_refused_and_the_rest_is_kept(save, read, broken, field, reason):
    rows = LINES.splitlines()
    kept, (refusal,) = read(save("a.jsonl", "\n".join([*rows[:2], broken, *rows[2:]])))
    assert answers(kept) == ["2", "4", "6", "8", "10"]
    assert (refusal.origin.line, refusal.field) == (3, field)
    assert reason in refusal.reason
    assert refusal.cure
    assert refusal.raw


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "damage",
    [
        ('"output": "6"', '"output": "6'),
        ('"output": "6"', '"output": 6"'),
        ('"output": "6"', '"output" "6"'),
        ('"Add 3', "Add 3"),
    ],
)
def test_one_bad_record_of_a_list_is_refused_and_the_rest_is_kept(save, read, indent, damage):
    text = json.dumps(GOOD, indent=indent)
    kept, (refusal,) = read(save("a.json", text.replace(*damage)))
    assert answers(kept) == ["2", "4", "8", "10"]
    assert refusal.origin.line == (1 if indent is None else 12)
    assert "is not valid JSON" in refusal.reason
    assert "Add 3" in refusal.raw
    assert "Add 4" not in refusal.raw


def test_a_damaged_conversation_does_not_yield_its_turns_as_records(save, read):
    turn = {"from": "human", "value": "hi"}
    rows = [{"id": str(i), "conversations": [turn, {"from": "gpt", "value": "hello"}]} for i in range(3)]
    text = json.dumps(rows, indent=1).replace('"id": "1",', '"id": "1"')
    kept, refused = read(save("a.json", text))
    assert (len(kept), len(refused)) == (2, 1)


@pytest.mark.parametrize("cut", [1, 20, 60, 61, 62, 63, 64, 200])
@pytest.mark.parametrize("indent", [None, 2])
def test_of_a_cut_list_the_whole_records_are_kept(save, read, cut, indent):
    text = json.dumps(GOOD, indent=indent)
    kept, refused = read(save("a.json", text[:-cut]))
    whole = text[:-cut].count("}")
    assert answers(kept) == ["2", "4", "6", "8", "10"][:whole]
    assert len(refused) == 1
    assert "the file ends" in refused[0].reason


def test_the_last_line_of_a_cut_jsonl_file_is_refused_as_cut(save, read):
    kept, (refusal,) = read(save("a.jsonl", LINES[:-20]))
    assert len(kept) == 4
    assert refusal.reason == "the file ends inside this record"


def test_a_trailing_comma_is_reported_where_it_stands(save, read):
    kept, (refusal,) = read(save("a.json", json.dumps(GOOD, indent=1)[:-1] + ",\n]\n"))
    assert len(kept) == 5
    assert refusal.reason == "a comma with no record after it"
    assert refusal.origin.line == 26 + 1


def test_text_after_the_json_is_reported(save, read):
    kept, (refusal,) = read(save("a.json", json.dumps(GOOD) + "\nand more"))
    assert len(kept) == 5
    assert "text outside of any record" in refusal.reason
    assert refusal.origin.line == 2


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_byte_that_is_not_utf8_is_refused_with_its_offset(save, read, name):
    text = {
        "a.jsonl": LINES,
        "a.json": json.dumps(GOOD, indent=1),
        "a.csv": "instruction,output\n" + "".join(f"{row['instruction']},{row['output']}\n" for row in GOOD),
    }[name]
    data = text.replace("Add 3", "Add é").encode("latin-1")
    data = "\ufeff".encode() + data
    kept, (refusal,) = read(save(name, data))
    assert answers(kept) == ["2", "4", "8", "10"]
    assert refusal.reason == f"is not UTF-8 (byte 0xE9 at offset {data.index(0xE9)})"
    assert "Add \ufffd" in refusal.raw


def test_gbk_prose_is_refused(save, read):
    kept, (refusal,) = read(save("a.txt", "第一章\n天地玄黄".encode("gbk")))
    assert not kept
    assert "is not UTF-8" in refusal.reason
    assert "gbk" in refusal.cure.lower()


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "b.json", "b.jsonl"])
def test_an_endless_record_is_refused_and_passed_over(save, read, monkeypatch, name):
    monkeypatch.setattr(stream, "LONGEST", 5000)
    monkeypatch.setattr(stream, "CHUNK", 1000)
    long = {"instruction": "Go on.", "input": "", "output": "x" * 50_000}
    rows = [*GOOD[:2], long, *GOOD[2:]] if name[0] == "a" else [long, *GOOD]
    content = rows
    if name.endswith(".csv"):
        content = "instruction,output\n" + "".join(f"{row['instruction']},{row['output']}\n" for row in rows)
    kept, (refusal,) = read(save(name, content))
    assert answers(kept) == ["2", "4", "6", "8", "10"]
    assert "is longer than" in refusal.reason
    assert len(refusal.raw) < 2000


def test_memory_stays_below_a_few_records_of_the_largest_size(save, read, monkeypatch):
    import tracemalloc

    monkeypatch.setattr(stream, "LONGEST", 1 << 20)
    monkeypatch.setattr(stream, "CHUNK", 1 << 16)
    path = save("a.json", '[{"instruction": "Go on.", "output": "' + "x" * (20 << 20) + '"}]')
    tracemalloc.start()
    kept, (refusal,) = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not kept
    assert "is longer than" in refusal.reason
    assert peak < 8 << 20


def test_a_value_across_many_chunks_is_read(save, read, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK", 7)
    rows = [{"instruction": "说" * 50, "output": "\U0001f600" * 30 + '\\"\n'}] * 3
    kept, refused = read(save("a.json", rows))
    assert answers(kept) == ["\U0001f600" * 30 + '\\"\n'] * 3
    assert not refused


@pytest.mark.parametrize("content", [LINES * 2000, json.dumps(GOOD * 2000)])
def test_a_cut_gz_file_gives_what_it_holds(save, read, content):
    packed = gzip.compress(content.encode())
    kept, refused = read(save("a.json.gz", packed[: len(packed) * 3 // 4]))
    assert 4000 < len(kept) < 10_000
    assert "cannot be read to its end" in refused[-1].reason


def test_a_row_with_too_many_cells_is_refused(save, read):
    kept, (refusal,) = read(save("a.csv", "instruction,output\na,b\nc,d,e\n"))
    assert answers(kept) == ["b"]
    assert "3 cells for 2 columns" in refusal.reason


def test_long_prose_is_cut_at_blank_lines_only(save, read, monkeypatch):
    monkeypatch.setattr("tunesmith.formats.open.prose.DOCUMENT", 100)
    paragraphs = [f"Paragraph {i}.\n" + "words and words\n" * 2 for i in range(20)]
    text = "\n".join(paragraphs)
    kept, _ = read(save("book.txt", text))
    assert len(kept) > 5
    assert all(isinstance(record, Document) and record.text.startswith("Paragraph") for record in kept)
    assert "\n\n".join(record.text for record in kept) == text.strip("\n")
    lines = text.splitlines()
    assert all(lines[record.origin.line - 1] == record.text.splitlines()[0] for record in kept)


def test_short_prose_stays_one_document(save, read):
    kept, _ = read(save("poem.txt", "one\n\n\ntwo\n"))
    assert [record.text for record in kept] == ["one\n\n\ntwo"]


@pytest.mark.parametrize("path", ["missing.json", "missing/folder/file", "data/missing.jsonl", "x/y.csv"])
def test_a_path_that_is_not_there_is_a_user_error(path):
    with pytest.raises(UserError, match="does not exist"):
        list(formats.read([path]))


def test_nothing_is_read_before_all_paths_are_checked(save):
    found = formats.read([save("a.json", GOOD), "missing.json"])
    with pytest.raises(UserError, match=r"missing\.json does not exist"):
        next(found)


def test_a_folder_without_data_is_a_user_error(tmp_path):
    (tmp_path / "picture.png").write_bytes(b"x")
    with pytest.raises(UserError, match="holds no data files"):
        list(formats.read([str(tmp_path)]))


def test_a_hub_id_without_a_network_says_so(monkeypatch, tmp_path):
    pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def no_name(*_):
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", no_name)
    with pytest.raises(UserError, match="someone/some-set is no file here and cannot be read from the hub") as caught:
        list(formats.read(["someone/some-set"]))
    assert "network" in caught.value.cure


def test_a_missing_datasets_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("datasets", "datasets.load"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError) as caught:
        list(formats.read(["someone/some-set"]))
    assert "tunesmith[hub]" in caught.value.cure


def test_reading_streams(save):
    """The first record is there before a later fault of the file is met."""
    path = save("a.jsonl", LINES * 5000 + "broken")
    first = next(formats.read([path]))
    assert first.messages[1].text == "2"


def test_records_of_one_line_are_numbered(tmp_path):
    file = tmp_path / "line.json"
    file.write_text(
        '[{"instruction": "a", "output": "b"}, {"instruction": "c", "output": ""}, {"instruction": "d", "output": ""}]'
    )
    refused = [str(item.origin) for item in formats.read([str(file)]) if isinstance(item, Refusal)]
    assert refused == [f"{file}:1#2", f"{file}:1#3"]
