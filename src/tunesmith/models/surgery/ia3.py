"""Factors on keys, values and the inner feed-forward."""

from dataclasses import dataclass, field

from peft import IA3Config
from transformers import PreTrainedModel

from tunesmith import recipe
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.surgery.adapter import adapt, module_names


@dataclass(frozen=True, slots=True)
class Ia3:
    """Freeze the model and learn factors (Liu et al., 2022) that start as one; rows of `new` tokens train too."""

    settings: recipe.Ia3 = field(default_factory=recipe.Ia3)
    new: tuple[int, ...] = ()

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        targets, inner = self.settings.targets, self.settings.feedforward
        if targets == "auto":
            if inner:
                raise UserError(
                    tr("ia3.feedforward={names} has no effect with ia3.targets=auto", names=inner),
                    tr("name all modules in ia3.targets"),
                )
            return adapt(model, IA3Config(task_type="CAUSAL_LM"), self.new)
        names = module_names(model, targets, "ia3.targets")
        scaled = [name.strip() for name in inner.split(",") if name.strip()]
        if not set(scaled) <= set(names):
            raise UserError(
                tr("ia3.feedforward={names} is not among ia3.targets", names=inner),
                tr("use some of {names}", names=", ".join(names)),
            )
        return adapt(
            model, IA3Config(task_type="CAUSAL_LM", target_modules=names, feedforward_modules=scaled), self.new
        )
