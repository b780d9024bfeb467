"""What every export may be told besides the options of its form, and how far it may be from its model."""

from dataclasses import dataclass, field
from typing import Literal

from tunesmith.recipe import Count, NotNegative, Share

MergeBase = Literal["better", "full", "dequantised"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be lost on the way; null: it is measured, and not judged. The defaults are for a form that keeps all."""

    logit_gap: NotNegative | None = 1e-3  # largest difference of one logit
    mean_kl: NotNegative | None = 1e-6  # divergence of what may come next, in nats, over all places of the answers
    max_kl: NotNegative | None = 1e-4  # the same at the worst place
    next_token: Share | None = 0.99  # least share of places where the same token is likeliest
    answers: Share | None = 0.95  # least share of greedy answers that are the same to their end
    loss: NotNegative | None = 1e-3  # most that the loss may rise, in nats a token, as the mean over conversations
    score: Share | None = 0.02  # most that the share of right answers may fall, unless by chance


EXACT = Limits()
HALF = Limits(None, 5e-3, None, 0.97, 0.8, 0.01, 0.02)  # weights in 16 bits
EIGHT_BITS = Limits(None, 0.02, None, 0.95, 0.7, 0.02, 0.03)
FOUR_BITS = Limits(None, 0.2, None, 0.8, None, 0.1, 0.05)


@dataclass(frozen=True, slots=True)
class Settings:
    """How an export is made and judged, whatever its form."""

    base: MergeBase = "better"  # of an adapter that was trained on 4 bits: what it is merged into
    held_out: Count = 32  # conversations to verify with; at most half of those that there are
    calibration: Count = 128  # conversations that a form may learn its rounding from
    answer_tokens: Count = 48  # longest greedy answer that is compared
    longest: Count = 1024  # tokens; a longer conversation is not verified with
    limits: Limits = field(default_factory=Limits)
