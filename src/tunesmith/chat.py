"""Talk to a model: prompts as training saw them, answers as they come."""

from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.adapted import bare, before
from tunesmith.models.inputs import encoded
from tunesmith.models.load import load_model, load_tokenizer, positions
from tunesmith.models.opening import opening
from tunesmith.records import Message, text_message
from tunesmith.text.render import Renderer
from tunesmith.text.template import Template, load_template

BROKEN = "\ufffd"  # what a decoder writes for bytes that are no character (yet)


@dataclass(frozen=True, slots=True)
class Sampling:
    """temperature 0 takes the likeliest token; top_p leaves out the least likely that together have 1 - top_p."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 512
    seed: int = 0


@dataclass(slots=True)
class TextStream:
    """Token ids in, text out, as soon as it is whole characters; bytes that never become one are left out.

    context  tokens before the pending ones, from the start of a character on: a decoder treats white space
             at the start of a text in another way than within it
    pending  tokens that do not end with a whole character
    sent     characters of the pending tokens that are already out
    """

    tokenizer: PreTrainedTokenizerFast
    context: list[int] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    sent: int = 0

    def push(self, token: int) -> str:
        """The text that this token completes; often a word, sometimes nothing."""
        self.pending.append(token)
        text = self.text()
        stable = text.rstrip(BROKEN)
        fresh, self.sent = stable[self.sent :], len(stable)
        if stable == text:
            self.context = self.pending if text else self.context + self.pending
            self.pending, self.sent = [], 0
        return fresh.replace(BROKEN, "")

    def text(self) -> str:
        """What the pending tokens add to the context."""
        before = self.decode(self.context)
        return self.decode([*self.context, *self.pending])[len(before) :]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


@dataclass
class Continuation:
    """A text that a model goes on with, token by token.

    given  arguments of every forward pass     name  the argument that takes the tokens
    ids    [1, T] tokens that the model has not read yet
    room   how many tokens the model has positions for
    """

    model: PreTrainedModel
    prompt: InitVar[Sequence[int]]
    given: dict[str, Any] = field(init=False)
    name: str = field(init=False)
    ids: Tensor = field(init=False)
    room: int = field(init=False)
    cache: Any = field(init=False)

    @torch.inference_mode()
    def __post_init__(self, prompt: Sequence[int]) -> None:
        self.given, self.name, begun = beginning(self.model, prompt)
        self.ids, self.cache = torch.tensor([list(begun)], device=self.model.device), before(self.model, 1)
        self.room = positions(self.model) - len(begun)

    @torch.inference_mode()
    def logits(self) -> Tensor:
        """[V]: what may come next. Raises UserError where the model hands out nothing to go on from."""
        output: Any = bare(self.model)(
            **self.given, **{self.name: self.ids}, past_key_values=self.cache, use_cache=True
        )
        self.cache = getattr(output, "past_key_values", None)
        if self.cache is None:
            raise UserError(
                tr(
                    "{kind} does not hand out what it keeps of the tokens it has read",
                    kind=type(bare(self.model)).__name__,
                ),
                tr("such a model can be tuned here, but not asked; take one with a cache of keys and values"),
            )
        found: Tensor = output.logits[0, -1].float().cpu()
        return found

    def add(self, token: int) -> None:
        self.ids = torch.tensor([[token]], device=self.model.device)


def generate(
    model: PreTrainedModel, prompt: Sequence[int], stop_ids: Collection[int], sampling: Sampling
) -> Iterator[int]:
    """Tokens of an answer, without the stop token; at most max_new_tokens, and no more than the model has positions."""
    generator = torch.Generator().manual_seed(sampling.seed)
    text = Continuation(model, prompt)
    for _ in range(min(sampling.max_new_tokens, text.room)):
        token = choose(text.logits(), sampling, generator)
        if token in stop_ids:
            return
        yield token
        text.add(token)


def beginning(model: PreTrainedModel, prompt: Sequence[int]) -> tuple[dict[str, Any], str, Sequence[int]]:
    """What every step of an answer is given, the argument that takes its tokens, and those that stand before it."""
    if begun := opening(model):
        return encoded(model, [prompt], pad=0), "decoder_input_ids", begun
    return {}, "input_ids", prompt


def choose(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """One token from [V] logits on the CPU."""
    if sampling.temperature <= 0:
        return int(logits.numpy().argmax())  # a tenth of the time that torch takes
    chances = torch.softmax(logits / sampling.temperature, -1)
    tokens = nucleus(chances, sampling.top_p)
    reached = chances[tokens].double().cumsum(-1)
    place = torch.rand((), dtype=torch.double, generator=generator) * reached[-1]
    return int(tokens[torch.searchsorted(reached, place, right=True)])


def nucleus(chances: Tensor, top_p: float) -> Tensor:
    """Ids of the likeliest tokens that together reach top_p, from [V] chances; of equals, the lower ids.

    Few are sorted: tokens below (1 - top_p) / V have less than 1 - top_p together, so the others reach top_p.
    """
    if top_p >= 1:
        return torch.arange(len(chances))
    likely = (chances >= (1 - top_p) / len(chances)).nonzero()[:, 0]
    best, order = chances[likely].sort(descending=True, stable=True)
    return likely[order[: 1 + int((best.cumsum(-1) < top_p).sum())]]


@dataclass(slots=True)
class ChatSession:
    """A conversation with a model. `messages` holds what was said; `spent` counts the tokens of the last answer."""

    model: PreTrainedModel
    renderer: Renderer
    sampling: Sampling = Sampling()
    system: str = ""
    messages: list[Message] = field(default_factory=list)
    spent: int = 0

    def ask(self, text: str) -> Generator[str, None, None]:
        """The answer in pieces. What is read of it stays in the conversation, to its end or not."""
        return self._answer(text, self.prompt(text))

    def _answer(self, text: str, prompt: list[int]) -> Generator[str, None, None]:
        self.messages.append(text_message("user", text))
        said: list[str] = []
        self.spent = 0
        stream = TextStream(self.renderer.tokenizer)
        try:
            for token in generate(self.model, prompt, self.stop_ids, self.sampling):
                self.spent += 1
                said.append(stream.push(token))
                if said[-1]:
                    yield said[-1]
        finally:
            self.messages.append(text_message("assistant", "".join(said)))

    def prompt(self, text: str) -> list[int]:
        """Ids of the whole conversation so far with `text` as the next question, up to where the answer begins."""
        system = [text_message("system", self.system)] if self.system else []
        prompt = self.renderer.prompt([*system, *self.messages, text_message("user", text)])
        if len(prompt) >= positions(self.model):
            raise UserError(
                tr(
                    "the conversation has {count} tokens, and the model can hold {limit}",
                    count=len(prompt),
                    limit=positions(self.model),
                ),
                tr("ask something shorter, or begin anew with /reset"),
            )
        return prompt

    @property
    def stop_ids(self) -> set[int]:
        """Where an answer ends: the template's end marks, and what the model's generation settings add."""
        return {*self.renderer.stop_ids, *end_ids(self.model)}

    def reset(self) -> None:
        self.messages.clear()


def end_ids(model: PreTrainedModel) -> tuple[int, ...]:
    """Tokens at which the model's own generation settings stop."""
    known = getattr(model.generation_config, "eos_token_id", None)
    return (known,) if isinstance(known, int) else tuple(known or ())


def open_session(model: str, template: str = "", system: str = "", sampling: Sampling | None = None) -> ChatSession:
    """A session with the model in a folder (or "nano", or a hub id), through its own chat template or another."""
    renderer = open_renderer(model, load_tokenizer(model), template)
    loaded: torch.nn.Module = load_model(model)
    if torch.cuda.is_available():
        loaded = loaded.cuda()
    return ChatSession(cast(PreTrainedModel, loaded), renderer, sampling or Sampling(), system)


def open_renderer(model: str, tokenizer: PreTrainedTokenizerFast, template: str = "") -> Renderer:
    """The model's own chat template or another; one with control tokens that the model never learnt is refused."""
    renderer = Renderer(load_template(template) if template else own_template(model, tokenizer), tokenizer)
    if renderer.added:
        raise UserError(
            tr(
                "{model} has never learnt the control tokens {tokens} of this template",
                model=model,
                tokens=", ".join(renderer.added),
            ),
            tr("tune it first: tunesmith tune --base {model} --data DATA --out OUT", model=model),
        )
    return renderer


def own_template(model: str, tokenizer: PreTrainedTokenizerFast) -> Template:
    """The chat template that came with the tokenizer."""
    try:
        return Template(model, tokenizer.get_chat_template())
    except ValueError as error:
        raise UserError(
            tr(
                "{model} has no chat template: it is a base model that continues text, and was not taught to answer",
                model=model,
            ),
            tr(
                "tune it first: tunesmith tune --base {model} --data DATA --out OUT; or give --template NAME",
                model=model,
            ),
        ) from error
