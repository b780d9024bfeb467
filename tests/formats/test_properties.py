"""Whatever bytes come, reading gives records and refusals; nothing else is raised."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith import formats
from tunesmith.errors import UserError
from tunesmith.formats.inspect import inspect
from tunesmith.formats.open import stream
from tunesmith.records import Refusal

FIELDS = """
instruction input output response history system conversations messages from value role content tools tool_calls
function_call name arguments images chosen rejected prompt completion label text data turns question answer
rationale instances Instances Definition output_1 output_2 preference weight type image_url url id
"""
KEYS = st.sampled_from(FIELDS.split())
WORDS = st.one_of(
    st.text(max_size=8), st.sampled_from(["user", "human", "assistant", "gpt", "tool", "system", "<image>"])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=12,
)
FORMATS = st.sampled_from(("auto", *formats.names()))
NAMES = ("a.json", "a.jsonl", "a.csv", "a.tsv", "a.txt", "a.jsonl.gz", "a.parquet", "dataset_info.json")
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def survives(path, format="auto"):
    """Read it all; every refusal is complete."""
    try:
        found = list(formats.read([str(path)], format))
    except UserError:
        return
    assert found
    for refusal in found:
        if isinstance(refusal, Refusal):
            assert refusal.field
            assert refusal.reason
            assert refusal.cure
            (str(refusal) + refusal.raw).encode()


@pytest.mark.parametrize("name", NAMES)
@given(data=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
@FEW
def test_random_bytes(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    survives(tmp_path / name)


@given(
    rows=st.lists(st.dictionaries(KEYS, VALUES, max_size=6), min_size=1, max_size=4),
    format=FORMATS,
    lines=st.booleans(),
)
@settings(FEW, max_examples=400)
def test_random_json_of_known_fields(tmp_path, rows, format, lines):
    path = tmp_path / "a.json"
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
    path.write_text(text)
    survives(path, format)
    inspect([str(path)], format).to_json()


@given(rows=st.lists(VALUES, min_size=1, max_size=4), cut=st.integers(0, 60), junk=st.text(max_size=3))
@settings(FEW, max_examples=300)
def test_random_json_cut_anywhere(tmp_path, rows, cut, junk):
    path = tmp_path / "a.json"
    text = json.dumps(rows, indent=1)
    path.write_bytes((text[: len(text) - cut] + junk + text[len(text) - cut :]).encode("utf-8", "replace"))
    survives(path)


@given(data=st.data())
@FEW
def test_chunk_borders_change_nothing(tmp_path, data, monkeypatch):
    rows = data.draw(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=5))
    size = data.draw(st.integers(1, 40))
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, ensure_ascii=data.draw(st.booleans())), errors="replace")
    whole = list(formats.read([str(path)]))
    with monkeypatch.context() as patch:
        patch.setattr(stream, "CHUNK", size)
        assert repr(list(formats.read([str(path)]))) == repr(whole)


@given(specs=st.dictionaries(st.text(max_size=5), VALUES, max_size=3))
@FEW
def test_random_registries(tmp_path, specs):
    specs["good"] = {"file_name": "a.json"}
    (tmp_path / "a.json").write_text('[{"instruction": "a", "output": "b"}]')
    (tmp_path / "dataset_info.json").write_text(json.dumps(specs))
    survives(tmp_path / "dataset_info.json")
