"""A model as a folder that loads, chats and stops by itself."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from tunesmith.artifact import write_json
from tunesmith.models.load import BASE, content_hash, locate
from tunesmith.models.opening import opening
from tunesmith.models.surgery.adapter import token_rows
from tunesmith.models.surgery.grow_vocabulary import rows
from tunesmith.models.surgery.lora import START, save_difference
from tunesmith.models.surgery.quantize import quantization
from tunesmith.tune.parallel import leads, whole_state
from tunesmith.tune.zero import aside


@dataclass(frozen=True, slots=True)
class Saver:
    """Writes a model with its tokenizer, chat template and stop ids; of an adapted one, the adapter alone.

    All processes that hold parts of the model call it together; the leading one writes.
    """

    tokenizer: PreTrainedTokenizerFast
    stop_ids: tuple[int, ...]
    base: str

    def __call__(self, model: PreTrainedModel, folder: Path) -> None:
        weights = whole_state(model)
        if not leads():
            return
        folder.mkdir(parents=True, exist_ok=True)
        stopping = generation(model, self.tokenizer, self.stop_ids)
        if isinstance(model, PeftModel):
            self.save_adapter(model, folder, weights)
        else:
            model.generation_config = stopping
            with aside():  # accelerate looks for DeepSpeed here
                model.save_pretrained(folder, state_dict=weights)
        stopping.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def save_adapter(self, model: PeftModel, folder: Path, weights: dict[str, Tensor] | None) -> None:
        base = locate(self.base).resolve()
        local = self.base != "nano" and Path(self.base).expanduser().is_dir()
        name = str(base) if local else self.base
        for config in model.peft_config.values():
            config.base_model_name_or_path = str(base) if self.base == "nano" else name
        model.save_pretrained(
            str(folder), save_embedding_layers=False, selected_adapters=["default"], state_dict=weights
        )
        if START in model.peft_config:
            save_difference(model, folder)
        (folder / "README.md").unlink(missing_ok=True)  # peft's empty form
        write_json(folder / BASE, self.note(name, cast(PreTrainedModel, model)))

    def note(self, name: str, model: PreTrainedModel) -> dict[str, Any]:
        """What the adapter needs to be loaded again, beside peft's own settings."""
        how = quantization(model)
        return {
            "base": name,
            "sha256": content_hash(self.base),
            "vocabulary": rows(model),
            "token_rows": token_rows(model),
            "quantized": how.note() if how else None,
        }


def generation(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, stop_ids: Sequence[int]) -> GenerationConfig:
    """The model's own settings, which also stop at `stop_ids`, in a form that transformers agrees to save.

    Of the model's own stop ids those go that are words in this tokenizer: they were a default of its config.
    """
    config = deepcopy(model.generation_config) or GenerationConfig()
    config._from_model_config = False
    marks = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    known = [token for token in as_list(config.eos_token_id) if token in marks]
    config.eos_token_id = list(dict.fromkeys([*stop_ids, *known])) or None
    if begun := opening(model):
        config.decoder_start_token_id = begun[0]
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    try:
        config.validate(strict=True)
    except ValueError:
        config.do_sample = True  # settings for sampling are refused beside greedy decoding
    return config


def as_list(ids: int | list[int] | None) -> list[int]:
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)
