"""A model loads whole, or the user learns why not; no code that comes with it is run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.toys import save_base, tiny_model
from tunesmith.errors import UserError
from tunesmith.models import load
from tunesmith.models.surgery.grow_vocabulary import resize


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_base(tmp_path / "base")


def change_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def write_weights(folder: Path, change: Callable[[bytes], bytes]) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(change(file.read_bytes()))


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_folder_loads_as_it_was_saved(base: Path, dtype: load.Dtype) -> None:
    model = load.load_model(str(base), dtype)
    wanted = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    assert {parameter.dtype for parameter in model.parameters()} == {wanted}
    for name, value in tiny_model().state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value.to(wanted))
    assert not model.training


@pytest.mark.parametrize("kind", ["t5", "mt5"])
def test_what_was_found_tied_stays_tied_and_nothing_else_when_the_vocabulary_grows(tmp_path: Path, kind: str) -> None:
    """transformers calls an mT5 tied whose output layer has weights of its own, and would overwrite them."""
    made = load.load_model(str(save_base(tmp_path / kind, kind)))
    given = {"input_ids": torch.tensor([[5, 6, 7]]), "decoder_input_ids": torch.tensor([[0, 9]])}
    before = made(**given).logits
    resize(made, 300)
    torch.testing.assert_close(made(**given).logits[..., :256], before)
    assert (made.lm_head.weight is made.shared.weight) == (kind == "t5")
    assert made.get_encoder().get_input_embeddings().weight is made.shared.weight


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "half a weight file": (lambda folder: write_weights(folder, lambda old: old[: len(old) // 2]), "cannot be loaded"),
    "a Git LFS pointer": (
        lambda folder: write_weights(folder, lambda _: b"version https://git-lfs"),
        "cannot be loaded",
    ),
    "an empty weight file": (lambda folder: write_weights(folder, lambda _: b""), "cannot be loaded"),
    "half a config": (lambda folder: (folder / "config.json").write_text('{"model_type": "ll'), "not readable JSON"),
    "a config of bytes": (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"), "not readable JSON"),
    "a list as config": (lambda folder: (folder / "config.json").write_text("[]"), "does not hold a JSON object"),
    "an empty config": (lambda folder: (folder / "config.json").write_text("{}"), "cannot be loaded"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json does not exist"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no \\*.safetensors"),
    "weights of another shape": (lambda folder: change_config(folder, hidden_size=64), "cannot be loaded"),
    "a layer too few": (lambda folder: change_config(folder, num_hidden_layers=3), "lack 9 weights"),
    "a kind unknown to transformers": (lambda folder: change_config(folder, model_type="zzz"), "cannot be loaded"),
    "a model that writes no text": (lambda folder: change_config(folder, model_type="vit"), "cannot be loaded"),
    "weights of another kind": (lambda folder: change_config(folder, model_type="t5"), "lack 98 weights"),
    "a word for a number": (lambda folder: change_config(folder, hidden_size="wide"), "cannot be loaded"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_folder_is_refused_with_its_name(base: Path, fault: str) -> None:
    harm, reason = FAULTS[fault]
    harm(base)
    with pytest.raises(UserError, match=reason) as refusal:
        load.load_model(str(base))
    assert str(base) in refusal.value.message
    assert refusal.value.cure


def test_a_pickle_is_refused_with_the_cure(base: Path) -> None:
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickle \(pytorch_model.bin\)") as refusal:
        load.load_model(str(base))
    assert "safetensors" in refusal.value.cure


def test_code_beside_a_model_is_never_run(base: Path) -> None:
    (base / "evil.py").write_text("raise SystemExit('run')\n")
    change_config(base, auto_map={"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"})
    assert load.load_model(str(base)).config.model_type == "llama"
    change_config(base, model_type="zzz")
    with pytest.raises(UserError):
        load.load_model(str(base))


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "a/b/c", "~nobody/models", "nowhere/"])
def test_a_path_that_does_not_exist_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(UserError, match="there is no model folder"):
        load.load_model(name)


def test_a_hub_id_without_a_network_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(base: str, local_files_only: bool = False, **options: object) -> str:
        raise load.LocalEntryNotFoundError("not cached") if local_files_only else OSError("network is unreachable")

    monkeypatch.setattr(load, "snapshot_download", unreachable)
    with pytest.raises(UserError, match="network is unreachable") as refusal:
        load.load_model("somebody/something")
    assert "network" in refusal.value.cure


def test_a_file_is_no_model_folder(base: Path) -> None:
    with pytest.raises(UserError, match="is a file, not a model folder"):
        load.load_model(str(base / "config.json"))


def test_the_content_hash_follows_the_weights_and_the_config_alone(base: Path) -> None:
    before = load.content_hash(str(base))
    (base / "README.md").write_text("a model")
    assert load.content_hash(str(base)) == before
    change_config(base, rope_theta=5.0)
    assert load.content_hash(str(base)) != before
