"""A file that is no GGUF, or not all of one, ends in a sentence."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.export.gguf.write import encoded, finish, package, put_all
from tunesmith.models.gguf_file import read_gguf

pytest.importorskip("gguf", reason="the package gguf is not installed")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    path = tmp_path_factory.mktemp("gguf") / "good.gguf"
    writer = package().GGUFWriter(path, "llama")
    put_all(writer, {"llama.block_count": 2, "name": "é好", "list": [1, 2, 3], "words": ["a", "b"]})
    put_all(writer, {"yes": True, "x": 0.5})
    made = {"one.weight": np.ones((3, 32), np.float32), "two.weight": np.zeros((2, 32), np.float32)}
    for name, values in made.items():
        writer.add_tensor_info(name, values.shape, values.dtype, values.nbytes)
    finish(writer, (encoded(values, "F32") for values in made.values()))
    return path


def test_what_was_written_is_read(good: Path) -> None:
    head = read_gguf(good)
    assert head.fields["name"] == "é好"
    assert head.fields["list"] == [1, 2, 3]
    assert head.fields["words"] == ["a", "b"]
    assert [(place.name, place.shape, place.kind) for place in head.tensors] == [
        ("one.weight", (3, 32), "F32"),
        ("two.weight", (2, 32), "F32"),
    ]
    place = head.tensors[0]
    assert good.read_bytes()[place.offset : place.offset + 4] == b"\x00\x00\x80\x3f"


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_torn_file_is_refused_wherever_it_ends(good: Path, data: st.DataObject) -> None:
    whole = good.read_bytes()
    end = data.draw(st.integers(0, len(whole) - 1).filter(lambda size: size < read_gguf(good).tensors[-1].offset + 256))
    torn = good.with_name("torn.gguf")
    torn.write_bytes(whole[:end])
    with pytest.raises(UserError, match=r"torn\.gguf, byte \d+: expected") as caught:
        read_gguf(torn)
    assert caught.value.cure


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_changed_bytes_are_read_or_refused(good: Path, data: st.DataObject) -> None:
    changed = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path = good.with_name("changed.gguf")
    path.write_bytes(changed)
    try:
        head = read_gguf(path)
    except UserError:
        return
    assert all(place.offset + place.size <= len(changed) for place in head.tensors)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_foreign_bytes_are_refused(good: Path, noise: bytes) -> None:
    path = good.with_name("noise.gguf")
    path.write_bytes(noise)
    with pytest.raises(UserError):
        read_gguf(path)
    path.write_bytes(b"GGUF\x03\0\0\0" + noise)
    with suppress(UserError):
        assert not read_gguf(path).tensors


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no.gguf"):
        with pytest.raises(UserError, match="cannot be read"):
            read_gguf(path)
