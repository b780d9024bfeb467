"""Low-rank adapters."""

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file
from transformers import PreTrainedModel

from tunesmith import recipe
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.surgery.adapter import adapt, module_names

START = "start"  # an idle second adapter: what PiSSA's was before training
SEED = 0  # of the random projection in PiSSA's decomposition: it must come out the same when a run is resumed
PISSA = "pissa_niter_16"  # a randomized decomposition, with as many iterations as the best of its paper


@dataclass(frozen=True, slots=True)
class Lora:
    """Freeze the model and add adapters (Hu et al., 2021) that change nothing yet; rows of `new` tokens train too.

    variant  rslora: Kalajdzievski, 2023; dora: Liu et al., 2024; pissa: Meng et al., 2024, whose adapter takes the
             principal part out of each weight, so that only the rest stays frozen
    """

    settings: recipe.Lora = field(default_factory=recipe.Lora)
    new: tuple[int, ...] = ()

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        wanted = self.settings.targets
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=self.settings.rank,
            lora_alpha=self.settings.alpha,  # type: ignore[arg-type]  # peft says int, and divides
            lora_dropout=self.settings.dropout,
            target_modules=wanted if wanted == "all-linear" else module_names(model, wanted, "lora.targets"),
            use_rslora=self.settings.variant == "rslora",
            use_dora=self.settings.variant == "dora",
            init_lora_weights=cast(Any, PISSA) if self.settings.variant == "pissa" else True,
        )
        if self.settings.variant != "pissa":
            return adapt(model, config, self.new)
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            adapted = adapt(model, config, self.new)
            refuse_cut_rank(adapted, self.settings.rank)
            set_aside(cast(PeftModel, adapted))
        return adapted


def refuse_cut_rank(model: PreTrainedModel, rank: int) -> None:
    """A weight has no more principal directions than its smaller side is long."""
    for name, part in model.named_parameters():
        if ".lora_A." in name and part.shape[0] < rank:
            raise UserError(
                tr(
                    "lora.rank={rank}: {module} has only {count} principal directions",
                    rank=rank,
                    module=name.split(".lora_A.")[0].split("base_model.model.")[-1],
                    count=part.shape[0],
                ),
                tr("set lora.rank={count} or lower, or leave the module out of lora.targets", count=part.shape[0]),
            )


def set_aside(model: PeftModel) -> None:
    """Keep the adapter as it is now: what is saved is what training added to it, and fits the unchanged base."""
    config = cast(LoraConfig, deepcopy(model.peft_config["default"]))
    config.init_lora_weights = True
    model.add_adapter(START, config)
    set_peft_model_state_dict(model, get_peft_model_state_dict(model, save_embedding_layers=False), START)


def save_difference(model: PeftModel, folder: Path) -> None:
    """Write a plain adapter of twice the rank, W + s·(B·A - B₀·A₀), over what peft wrote into `folder`."""
    learnt, start = (
        get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False) for name in ("default", START)
    )
    for name, part in learnt.items():
        if ".lora_A." in name:
            learnt[name] = torch.cat([part, start[name]])
        elif ".lora_B." in name:
            learnt[name] = torch.cat([part, -start[name]], dim=1)
    save_file(learnt, folder / "adapter_model.safetensors")
    config = cast(LoraConfig, deepcopy(model.peft_config["default"]))
    config.init_lora_weights, config.inference_mode = True, True
    config.r, config.lora_alpha = 2 * config.r, 2 * config.lora_alpha
    config.save_pretrained(str(folder))
