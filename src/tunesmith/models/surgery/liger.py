"""Triton kernels in place of a model's own norms, rotary embedding and feed-forward."""

from dataclasses import dataclass

from transformers import PreTrainedModel

from tunesmith.errors import UserError
from tunesmith.messages import tr


@dataclass(frozen=True, slots=True)
class Liger:
    """What Liger-Kernel (Hsu et al., 2024) has for this kind of model, but for its losses: ours is fused already."""

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        from liger_kernel.transformers import _apply_liger_kernel_to_instance

        _apply_liger_kernel_to_instance(model=model, cross_entropy=False, fused_linear_cross_entropy=False)
        if not any("forward" in vars(module) for module in model.modules()):
            raise UserError(
                tr("Liger-Kernel has nothing for this kind of model ({kind})", kind=type(model).__name__),
                tr("set tune.liger=false"),
            )
        return model
