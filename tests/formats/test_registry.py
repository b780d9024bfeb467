"""LLaMA-Factory's dataset_info.json is followed as it is written."""

import json

import pytest

from tunesmith import formats
from tunesmith.errors import UserError


@pytest.fixture
def registry(save):
    """registry({"name": spec}, {"file.json": rows}) -> path of the dataset_info.json."""

    def write(specs, files):
        for name, rows in files.items():
            save(f"data/{name}", rows)
        return save("data/dataset_info.json", json.dumps(specs))

    return write


def test_columns_name_the_fields(registry, read):
    spec = {"file_name": "a.json", "columns": {"prompt": "q", "query": "ctx", "response": "a", "system": "sys"}}
    path = registry({"mine": spec}, {"a.json": [{"q": "Q", "ctx": "C", "a": "A", "sys": "S", "instruction": "no"}]})
    (record,), refused = read(path)
    assert [(m.role, m.text) for m in record] == [("system", "S"), ("user", "Q\n\nC"), ("assistant", "A")]
    assert not refused


def test_tags_name_the_speakers(registry, read):
    tags = {"role_tag": "who", "content_tag": "says", "user_tag": "Q", "assistant_tag": "A", "system_tag": "S"}
    spec = {"file_name": "a.jsonl", "formatting": "sharegpt", "columns": {"messages": "talk"}, "tags": tags}
    talk = [{"who": "S", "says": "s"}, {"who": "Q", "says": "q"}, {"who": "A", "says": "a"}]
    (record,), _ = read(registry({"mine": spec}, {"a.jsonl": [{"talk": talk}]}))
    assert [(m.role, m.text) for m in record] == [("system", "s"), ("user", "q"), ("assistant", "a")]


def test_ranking_gives_pairs(registry, read):
    columns = {"prompt": "q", "chosen": "good", "rejected": "bad"}
    new = {"file_name": "a.json", "ranking": True, "columns": columns}
    old = {"file_name": "b.json", "ranking": True, "columns": {"prompt": "q", "response": "answer"}}
    chat = {"file_name": "c.json", "ranking": True, "formatting": "sharegpt",
            "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
            "tags": {"assistant_tag": "bot"}}  # fmt: skip
    files = {
        "a.json": [{"q": "Q", "good": "G", "bad": "B"}],
        "b.json": [{"q": "Q", "answer": ["G", "B"]}],
        "c.json": [
            {
                "conversations": [{"from": "human", "value": "Q"}],
                "chosen": {"from": "bot", "value": "G"},
                "rejected": {"from": "bot", "value": "B"},
            }
        ],
    }
    records, refused = read(registry({"new": new, "old": old, "chat": chat}, files))
    assert not refused
    assert [(r.prompt[0].text, r.chosen[0].text, r.rejected[0].text) for r in records] == [("Q", "G", "B")] * 3


def test_kto_and_pretraining_columns(registry, read):
    kto = {"file_name": "a.json", "columns": {"prompt": "q", "response": "a", "kto_tag": "ok"}}
    text = {"file_name": "b.jsonl", "columns": {"prompt": "content"}}
    files = {"a.json": [{"q": "Q", "a": "A", "ok": False}], "b.jsonl": [{"content": "words"}]}
    (rated, document), refused = read(registry({"k": kto, "t": text}, files))
    assert not refused
    assert rated.desirable is False
    assert document.text == "words"


def test_one_entry_is_chosen_by_its_name_and_limited(registry, read, tmp_path):
    rows = [{"instruction": str(i), "output": "x"} for i in range(5)]
    path = registry(
        {"a": {"file_name": "a.json", "num_samples": 2}, "b": {"file_name": "missing.json"}}, {"a.json": rows}
    )
    kept, refused = read(f"{path}#a")
    assert [record.messages[0].text for record in kept] == ["0", "1"]
    assert not refused
    assert read(f"{tmp_path}/data#a") == (kept, refused)


def test_what_is_not_read_is_said(registry, read, save, tmp_path):
    save("data/loose.json", [{"instruction": "a", "output": "b"}])
    specs = {"a": {"file_name": "missing.json"}, "h": {"hf_hub_url": "x/y"}}
    registry(specs, {})
    kept, refused = read(tmp_path / "data")
    assert not kept
    assert [refusal.reason.split(",")[0] for refusal in refused] == [
        "does not exist",
        "is not listed in dataset_info.json",
        "1 data sets are on a hub and were not read",
    ]


@pytest.mark.parametrize(
    ("spec", "message", "cure"),
    [
        ({"file_name": "a.json", "formatting": "sharegtp"}, "has formatting 'sharegtp'", "sharegpt"),
        ({"file_name": "a.json", "columns": {"promt": "q"}}, "unknown column 'promt'", "did you mean prompt?"),
        ({"columns": {}}, "names no file_name or hub", "file_name"),
    ],
)
def test_a_faulty_entry_is_a_user_error(registry, read, spec, message, cure):
    path = registry({"good": {"file_name": "a.json"}, "bad": spec}, {"a.json": [{"instruction": "a", "output": "b"}]})
    with pytest.raises(UserError) as caught:
        read(path)
    assert message in caught.value.message
    assert cure in caught.value.cure


def test_an_unknown_entry_is_refused_with_the_nearest(registry, read):
    path = registry({"alpaca_en": {"file_name": "a.json"}}, {"a.json": [{"instruction": "a", "output": "b"}]})
    with pytest.raises(UserError) as caught:
        read(f"{path}#alpaca_eng")
    assert "did you mean alpaca_en?" in caught.value.cure


def test_a_column_that_a_row_lacks_is_named(registry, read):
    spec = {"file_name": "a.json", "columns": {"prompt": "q", "response": "a"}}
    _, (refusal,) = read(registry({"a": spec}, {"a.json": [{"instruction": "a", "output": "b"}]}))
    assert refusal.field == "q"


def test_a_file_of_that_name_from_elsewhere_is_no_registry(save, tmp_path, read):
    save("data/dataset_info.json", json.dumps({"builder_name": "json", "features": {}, "splits": {}}))
    save("data/a.jsonl", [{"instruction": "a", "output": "b"}])
    kept, refused = read(tmp_path / "data")
    assert (len(kept), len(refused)) == (1, 0)
    assert formats.detect(str(tmp_path / "data")) == "alpaca"
