"""How the decoder of an encoder–decoder begins an answer."""

from pathlib import Path
from typing import Any

from transformers import GenerationConfig, PreTrainedModel

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.load import ADAPTER, BASE, locate, read_config, read_object


def opening(model: PreTrainedModel) -> tuple[int, ...]:
    """The tokens that generation sets before every answer; none for a causal model, which goes on from the prompt."""
    return tokens(model.config, model.generation_config, type(model).__name__)


def opening_of(base: str) -> tuple[int, ...]:
    """The same from the files of `base`, before its weights are read; none where there is only a tokenizer."""
    folder = locate(base)
    if (folder / ADAPTER).is_file():
        note = folder / (BASE if (folder / BASE).is_file() else ADAPTER)
        settings = read_object(note, "")
        return opening_of(str(settings.get("base") or settings.get("base_model_name_or_path")))
    return tokens(read_config(folder), generation_of(folder), base) if (folder / "config.json").is_file() else ()


def generation_of(folder: Path) -> GenerationConfig | None:
    return GenerationConfig.from_pretrained(folder) if (folder / "generation_config.json").is_file() else None


def tokens(config: Any, generation: GenerationConfig | None, name: str) -> tuple[int, ...]:
    """The decoder's start token, and the token (a language, in mBART) that is forced to come first, if there is one.

    A config that does not name the start token means BOS, as transformers has it; without BOS, padding, as T5 was made.
    """
    if not config.is_encoder_decoder:
        return ()

    def setting(*keys: str) -> int | None:
        found = (getattr(place, key, None) for key in keys for place in (generation, config))
        return next((value for value in found if value is not None), None)

    start = setting("decoder_start_token_id", "bos_token_id", "pad_token_id")
    if start is None:
        raise UserError(
            tr("{name} does not say with which token its decoder starts", name=name),
            tr("set decoder_start_token_id in its config.json"),
        )
    forced = setting("forced_bos_token_id")
    return (start,) if forced is None else (start, forced)
