"""Choose which parameters train."""

import re
from dataclasses import dataclass

from transformers import PreTrainedModel

from tunesmith.errors import UserError
from tunesmith.messages import tr


@dataclass(frozen=True, slots=True)
class Train:
    """Train the parameters whose names match the regular expression, and freeze the rest."""

    where: str

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        names = [name for name, _ in model.named_parameters()]
        chosen = set(matching(names, self.where))
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in chosen)
        return model


def matching(names: list[str], where: str) -> list[str]:
    """The names in which the regular expression is found; one that is found in none is refused."""
    try:
        found = [name for name in names if re.search(where, name)]
    except re.error as error:
        raise UserError(
            tr("train: {pattern} is not a regular expression: {reason}", pattern=where, reason=error),
            tr("escape special characters with a backslash"),
        ) from error
    if not found:
        raise UserError(
            tr("train: {pattern} matches none of the {count} parameters", pattern=where, count=len(names)),
            tr("parameter names look like {names}", names=", ".join(names[:: max(1, len(names) // 4)][:5])),
        )
    return found
