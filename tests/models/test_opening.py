"""How a decoder begins, from a model and from its files."""

import json
from pathlib import Path

import pytest

from tests.toys import CONFIGS, save_base, tiny_model
from tunesmith.errors import UserError
from tunesmith.models.opening import opening, opening_of
from tunesmith.recipe import Lora as LoraSettings

KNOWN = {"t5": (0,), "mt5": (0,), "bart": (2,)}  # T5's config names no start: its padding


@pytest.mark.parametrize("kind", [*CONFIGS, *KNOWN])
def test_the_files_say_what_the_model_says(kind: str, tmp_path: Path) -> None:
    expected = KNOWN.get(kind, ())
    assert opening(tiny_model(kind)) == expected
    assert opening_of(str(save_base(tmp_path / kind, kind))) == expected


def test_the_start_token_of_the_config_comes_first_and_a_forced_one_follows(tmp_path: Path) -> None:
    base = save_base(tmp_path / "t5", "t5", decoder_start_token_id=7)
    assert opening_of(str(base)) == (7,)
    file = base / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"forced_bos_token_id": 9}))
    assert opening_of(str(base)) == (7, 9)


def test_an_adapter_begins_as_its_base(tmp_path: Path) -> None:
    from tunesmith.models.surgery.lora import Lora

    base = save_base(tmp_path / "base", "mt5")
    adapted = Lora(LoraSettings(rank=2))(tiny_model("mt5"))
    adapted.save_pretrained(tmp_path / "adapter")
    (tmp_path / "adapter" / "base.json").write_text(json.dumps({"base": str(base)}))
    assert opening_of(str(tmp_path / "adapter")) == (0,)


def test_a_folder_with_a_tokenizer_alone_has_none(tmp_path: Path) -> None:
    assert opening_of(str(tmp_path)) == ()


def test_a_decoder_without_a_start_is_refused(tmp_path: Path) -> None:
    base = save_base(tmp_path / "t5", "t5", pad_token_id=None)
    (base / "generation_config.json").unlink()
    with pytest.raises(UserError, match="does not say with which token its decoder starts"):
        opening_of(str(base))
