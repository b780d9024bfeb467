"""Low-rank adapters."""

import warnings
from dataclasses import dataclass, field
from typing import cast

from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel

from tunesmith import recipe
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.surgery.grow_vocabulary import new_token_names


@dataclass(frozen=True, slots=True)
class Lora:
    """Freeze the model and add adapters (Hu et al., 2021) that start as zero; the rows of `new` tokens train too."""

    settings: recipe.Lora = field(default_factory=recipe.Lora)
    new: tuple[int, ...] = ()

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        config = LoraConfig(
            task_type="SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM",
            r=self.settings.rank,
            lora_alpha=self.settings.alpha,  # type: ignore[arg-type]  # peft says int, and divides
            lora_dropout=self.settings.dropout,
            target_modules=targets(model, self.settings.targets),
            use_rslora=self.settings.variant == "rslora",
            use_dora=self.settings.variant == "dora",
            trainable_token_indices=new_token_names(model, self.new) or None,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft speaks of what it settles by itself
            return cast(PreTrainedModel, get_peft_model(model, config))


def targets(model: PreTrainedModel, wanted: str) -> str | list[str]:
    """What peft calls target_modules; a name that no module bears is refused."""
    if wanted == "all-linear":
        return wanted
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    modules = [name for name, _ in model.named_modules() if name]
    missing = [name for name in names if not any(f".{module}".endswith(f".{name}") for module in modules)]
    if missing or not names:
        leaves = sorted({name.rsplit(".", 1)[-1] for name in modules})
        raise UserError(
            tr("lora.targets: no module is called {names}", names=", ".join(missing) or repr(wanted)),
            tr("use all-linear, or some of {names}", names=", ".join(leaves)),
        )
    return names
