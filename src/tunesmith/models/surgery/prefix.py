"""Keys and values before those of the text."""

from dataclasses import dataclass, field

from peft import PrefixTuningConfig
from transformers import PreTrainedModel

from tunesmith import recipe
from tunesmith.models.surgery.adapter import adapt


@dataclass(frozen=True, slots=True)
class Prefix:
    """Freeze the model and learn a prefix in every layer (Li and Liang, 2021); rows of `new` tokens train too."""

    settings: recipe.Prefix = field(default_factory=recipe.Prefix)
    new: tuple[int, ...] = ()

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        config = PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.settings.tokens,
            prefix_projection=self.settings.hidden > 0,
            encoder_hidden_size=self.settings.hidden,
        )
        return adapt(model, config, self.new)
