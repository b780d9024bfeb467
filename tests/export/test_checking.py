"""An export that changed, or that answers otherwise, is found out."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.export.conftest import QUICK, Quiet
from tunesmith.config import from_words
from tunesmith.errors import UserError
from tunesmith.export.checking import check
from tunesmith.export.exporting import export
from tunesmith.export.golden import contents, same_answer


@pytest.fixture(scope="module")
def exported(chat: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exports") / "out"
    return export(str(chat), "merged", out, (), from_words([*QUICK, "dtype=fp32"]), Quiet()).out


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def failed(path: Path, watch: Quiet) -> list[str]:
    return [proof.name for proof in check(path, watch).proofs if not proof.passed]


def rewrite(folder: Path, change) -> None:
    """Change the weights, and the manifest as if nothing had happened."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    reseal(folder)


def reseal(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["content"] = contents(folder)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["", "model.safetensors"])
def test_an_export_that_nobody_touched_passes_wherever_it_lies(name: str, copy: Path, watch: Quiet) -> None:
    found = check(copy / name, watch)
    assert found.passed
    assert [proof.name for proof in found.proofs] == [
        "files", "verdict", "golden_prompts", "golden_answers", "golden_logits",
    ]  # fmt: skip


def test_a_byte_that_changed_is_named(copy: Path, watch: Quiet) -> None:
    file = copy / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    found = check(copy, watch)
    assert [proof.name for proof in found.proofs if not proof.passed] == ["files"]
    assert "model.safetensors" in found.proofs[0].detail
    file.unlink()
    assert failed(copy, watch) == ["files"]


def test_other_weights_give_other_answers(copy: Path, watch: Quiet) -> None:
    rewrite(copy, lambda weights: weights["model.layers.0.mlp.down_proj.weight"].mul_(-1))
    assert failed(copy, watch) == ["golden_answers", "golden_logits"]


def test_another_template_gives_other_prompts(copy: Path, watch: Quiet) -> None:
    file = copy / "chat_template.jinja"
    file.write_text(file.read_text().replace("\\n", " ").replace("\n", " "))
    tokenizer = json.loads((copy / "tokenizer_config.json").read_text())
    assert "chat_template" not in tokenizer
    reseal(copy)
    assert "golden_prompts" in failed(copy, watch)


def test_a_lead_of_almost_nothing_may_be_lost() -> None:
    recorded = {"answer_ids": [5, 6, 7], "leads": [3.0, 0.01, 2.0, 1.0]}
    assert same_answer([5, 6, 7], recorded)
    assert same_answer([5, 9, 9], recorded)
    assert not same_answer([9, 6, 7], recorded)
    assert not same_answer([5, 6], recorded)
    assert not same_answer([5, 6, 7, 8], recorded)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "export"}', '{"kind": "model", "content": {}}'])
def test_what_is_no_export_is_refused(text: str, tmp_path: Path, watch: Quiet) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError):
        check(tmp_path, watch)


def test_a_manifest_does_not_lead_out_of_its_folder(copy: Path, watch: Quiet) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy.parent / "other").write_text("x")
    manifest["content"]["../other"] = contents(copy.parent)["other"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert failed(copy, watch) == ["files"]


def test_broken_golden_answers_are_refused(copy: Path, watch: Quiet) -> None:
    (copy / "golden.json").write_text('{"answer_tokens": 3, "prompts": [{"messages": []}]}')
    reseal(copy)
    with pytest.raises(UserError, match="no golden answers"):
        check(copy, watch)
