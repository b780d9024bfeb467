"""A model that is read weight by weight is the one that transformers reads whole."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, PreTrainedModel

from tests.toys import save_base, tiny_model
from tunesmith.errors import UserError
from tunesmith.models.load import load_model
from tunesmith.models.skeleton import UnfitError, fill, hollow, skeleton, stand_in


def read(base: Path) -> PreTrainedModel:
    model, places = skeleton(str(base))
    assert all(parameter.is_meta for parameter in model.parameters())
    for parameter, place in places.items():
        fill(parameter, place.read(parameter.dtype))
    return model


def same(one: PreTrainedModel, other: PreTrainedModel) -> None:
    """Every parameter under each of its names, what is tied, every buffer, and the settings."""
    for kind in ("named_parameters", "named_buffers"):
        found, expected = (dict(getattr(model, kind)(remove_duplicate=False)) for model in (one, other))
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name].dtype == value.dtype
            assert torch.equal(found[name], value), name
    assert [name for name, _ in one.named_parameters()] == [name for name, _ in other.named_parameters()]
    assert one._tied_weights_keys == other._tied_weights_keys
    assert one.generation_config.to_dict() == other.generation_config.to_dict()
    assert one.training is other.training is False


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2", "t5", "bart"])
def test_every_weight_and_buffer_is_what_transformers_reads(kind: str, tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", kind)
    GenerationConfig(max_new_tokens=7, eos_token_id=5).save_pretrained(base)
    same(read(base), load_model(str(base)))


def test_it_reads_bf16_in_several_files_with_scaled_rotation(tmp_path: Path) -> None:
    scaled = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    made = tiny_model(rope_parameters=scaled | {"original_max_position_embeddings": 32})
    made.to(torch.bfloat16).save_pretrained(tmp_path, max_shard_size="20kB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    save_file({"model.norm.weight": torch.zeros(32)}, tmp_path / "consolidated.safetensors")  # is not in the index
    same(read(tmp_path), load_model(str(tmp_path)))


def test_names_without_the_prefix_are_understood(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base")
    held = load_file(base / "model.safetensors")
    save_file({name.removeprefix("model."): value for name, value in held.items()}, base / "model.safetensors")
    same(read(base), load_model(str(base)))


def test_some_rows_are_read_alone(tmp_path: Path) -> None:
    model, places = skeleton(str(save_base(tmp_path / "base")))
    place = places[model.get_input_embeddings().weight]
    whole = place.read(torch.float32)
    assert torch.equal(place.read(torch.float32, slice(100, 103)), whole[100:103])
    before = whole.clone()
    place.read(torch.float32).zero_()  # is a copy, not the file
    assert torch.equal(place.read(torch.float32), before)


@pytest.mark.parametrize(("kind", "why"), [("gpt_neox", "lacks"), ("mt5", "another form")])
def test_what_transformers_would_rename_or_untie_is_read_whole(kind: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match=why):
        skeleton(str(save_base(tmp_path / "base", kind)))


def test_experts_that_are_merged_while_they_are_read_are_read_whole(tmp_path: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = MixtralConfig(vocab_size=32, num_hidden_layers=1, num_local_experts=2, **sizes)
    MixtralForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(UnfitError, match="merged or cut"):
        skeleton(str(tmp_path))


def test_a_folder_without_a_model_is_refused_as_ever(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json does not exist"):
        skeleton(str(tmp_path))


def test_stand_ins_take_no_memory_and_go_again(tmp_path: Path) -> None:
    model, places = skeleton(str(save_base(tmp_path / "base", "qwen2")))
    model.get_parameter("model.norm.weight").requires_grad_(False)
    stand_in(list(places))
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    assert all(parameter.untyped_storage().nbytes() == 4 for parameter in model.parameters())
    hollow(list(places))
    assert all(parameter.is_meta for parameter in model.parameters())
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert [name for name, part in model.named_parameters() if not part.requires_grad] == ["model.norm.weight"]
