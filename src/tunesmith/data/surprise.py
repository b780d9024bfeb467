"""How much an answer surprises a language model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data.words import answers, asked
from tunesmith.records import Conversation

BREAK = "\n\n"  # between turns; a base model knows no marks of speakers


@dataclass(frozen=True, slots=True)
class Reader:
    """
    model   a causal language model: a folder, a hub id, or nano
    length  tokens that are read of a conversation; what lies beyond has no part in the score
    """

    model: str
    length: int = 1024

    def conversation(self, conversation: Conversation) -> float:
        """Mean of −ln p over the tokens of all answers, each given all that was said before it; NaN without any."""
        return self.nll([(message.text, message.role == "assistant") for message in conversation])

    def answer(self, conversation: Conversation) -> tuple[float, float]:
        """Mean of −ln p over the tokens of the first answer: given the question, and alone; NaN without any.

        Both are over the same tokens, or they could not be compared: what the question leaves no room for is
        left out of both.
        """
        question, answer = asked(conversation), next(answers(conversation), "")
        given, alone = self.tokens([(question, False)]), self.tokens([(answer, True)])
        alone = alone[: max(self.length - len(given) - 1, 0)]
        return self.mean([*given, *alone]), self.mean(alone)

    def nll(self, turns: Sequence[tuple[str, bool]]) -> float:
        return self.mean(self.tokens(turns)[: self.length - 1])

    def tokens(self, turns: Sequence[tuple[str, bool]]) -> list[tuple[int, bool]]:
        """Every token of some turns, and whether it counts. A turn is tokenized by itself: no token spans two."""
        from tunesmith.data.pretrained import causal
        from tunesmith.text.tokenizer import encode

        tokenizer = causal(self.model)[1]
        pieces = [piece for text, counts in turns for piece in ((text, counts), (BREAK, False))]
        ids = encode(tokenizer, [text for text, _ in pieces])
        return [(token, counts) for each, (_, counts) in zip(ids, pieces, strict=True) for token in each]

    def mean(self, tokens: Sequence[tuple[int, bool]]) -> float:
        """Mean of −ln p over the tokens that count, in nats. Read alone: a batch would change the last digits.

        Before the first token stands the start of a text, or its end where the model has no start; where it has
        neither, the first token has no probability and does not count.
        """
        import torch
        from torch.nn.functional import cross_entropy

        from tunesmith.data.pretrained import causal

        model, tokenizer = causal(self.model)
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        read = [*([] if start is None else [(start, False)]), *tokens]
        counted = [place for place, (_, counts) in enumerate(read) if counts and place]
        if not counted:
            return math.nan
        ids = torch.tensor([token for token, _ in read], device=model.device)
        with torch.inference_mode():
            logits = model(input_ids=ids[None, :-1]).logits[0]
        places = torch.tensor(counted, device=model.device)
        return float(cross_entropy(logits[places - 1].float(), ids[places]))
