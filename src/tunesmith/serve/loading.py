"""Models by their names on the command line → what the server answers with; proven before anyone asks."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tunesmith.artifact import MANIFEST
from tunesmith.chat import Continuation, Sampling, end_ids, generate, open_renderer
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.adapted import prompt_length
from tunesmith.models.llamacpp import LlamaCpp, open_gguf
from tunesmith.models.load import (
    ADAPTER,
    BROKEN,
    brief,
    load_model,
    load_tokenizer,
    locate,
    outline,
    positions,
    read_object,
)
from tunesmith.models.opening import opening
from tunesmith.models.surgery.grow_vocabulary import rows as embedding_rows
from tunesmith.proof import Proof, require
from tunesmith.serve.engines.base import Ask, Engine
from tunesmith.serve.engines.continuous import ContinuousEngine
from tunesmith.serve.engines.draw import EngineError
from tunesmith.serve.engines.llamacpp import LlamaDecoder, LlamaTongue, gguf_file
from tunesmith.serve.engines.programs import Program
from tunesmith.serve.engines.serial import SerialDecoder
from tunesmith.serve.engines.slots import SlotEngine
from tunesmith.serve.house import Served
from tunesmith.serve.limits import Limits
from tunesmith.serve.starting import start_engine
from tunesmith.serve.tongue import TokenizerTongue, Tongue
from tunesmith.text.recorded import prove_recorded
from tunesmith.text.render import Renderer

GOLDEN = "golden.json"  # beside an export: prompts and answers that were recorded as it was verified
CONTEXT = 4096  # tokens, where the model allows as many
TRIED = 12  # tokens of each answer by which the engines are compared
CLOSE = 1e-2  # nats: two tokens as near as this may change places where sums are rounded in another order

Say = Callable[[str], None]


def open_models(
    names: Sequence[str], template: str, limits: Limits, say: Say, program: Program | None = None
) -> dict[str, Served]:
    """Every model, by a name of its own. `program`: what computes the answers in place of this process."""
    if program and len(names) > 1:
        raise UserError(
            tr(
                "{engine} claims a whole GPU for one model, and {count} are named",
                engine=program.name,
                count=len(names),
            ),
            tr("serve one model, or leave out --engine"),
        )
    found: dict[str, Served] = {}
    try:
        for name in names:
            served = open_model(name, unused(short(name), found), template, limits, say, program)
            found[served.id] = served
    except BaseException:  # the threads of those that are open would keep the process from its end
        for served in found.values():
            served.engine.close()
        raise
    return found


def short(name: str) -> str:
    """The last part of a path, or a hub id as it is."""
    path = Path(name).expanduser()
    return path.resolve().name if path.exists() else name


def unused(wanted: str, used: dict[str, Served]) -> str:
    return next(name for name in (wanted, *(f"{wanted}-{n}" for n in range(2, len(used) + 3))) if name not in used)


def open_model(
    name: str, known_as: str, template: str, limits: Limits, say: Say, program: Program | None = None
) -> Served:
    """One model with its engine and its tokenizer, and what was proven of both."""
    tongue: Tongue
    engine: Engine
    if program:
        tongue, longest = open_outline(name, template)
        prove(prompt_proofs(locate(name), tongue), say)
        context = min(limits.context or CONTEXT, longest)
        engine = start_engine(program, locate(name), tongue, context, limits.parallel, say)
    elif file := gguf_file(name):
        warn_of_refused(file.parent, say)
        tongue, llama = open_llama(file, template, limits)
        prove(prompt_proofs(file.parent, tongue), say)
        engine = SlotEngine(LlamaDecoder(llama))
    else:
        warn_of_refused(locate(name), say)
        tongue, model = open_torch(name, template)
        prove(prompt_proofs(locate(name), tongue), say)
        engine, proof = engine_for(model, tongue, limits)
        prove([proof], say)
    say(tr("{model}: {engine}, context {context}", model=known_as, engine=engine.name, context=engine.context))
    return Served(known_as, engine, tongue)


def warn_of_refused(folder: Path, say: Say) -> None:
    """Say it of an export that failed its verification; that for the web has its model one folder down."""
    places = (folder, folder.parent) if folder.name == "model" else (folder,)
    found = [read_object(place / MANIFEST, tr("restore the file")) for place in places if (place / MANIFEST).is_file()]
    if any(manifest.get("verdict") == "refused" for manifest in found):
        say(tr("warning: {path} failed its verification when it was exported; its README.md says how", path=folder))


def open_llama(file: Path, template: str, limits: Limits) -> tuple[Tongue, LlamaCpp]:
    """A GGUF file, its own template and tokenizer."""
    if template:
        raise UserError(
            tr("--template {name} has no use for {path}: a GGUF brings its own", name=template, path=file),
            tr("leave out --template"),
        )
    llama = open_gguf(file, limits.context or CONTEXT, limits.parallel + 1, threads=torch.get_num_threads())
    return LlamaTongue(llama), llama


def open_torch(name: str, template: str) -> tuple[TokenizerTongue, PreTrainedModel]:
    """A folder of safetensors, an adapter on its base, or a hub id."""
    words = open_words(name, template)
    loaded: torch.nn.Module = load_model(name)
    if torch.cuda.is_available():
        loaded = loaded.cuda()
    model = cast(PreTrainedModel, loaded)
    return tongue_of(words, model), model


def open_words(name: str, template: str) -> tuple[PreTrainedTokenizerFast, Renderer | None]:
    """The tokenizer of a model, and what writes conversations for it where it has a template."""
    tokenizer = load_tokenizer(name)
    written = template or tokenizer.chat_template
    return tokenizer, open_renderer(name, tokenizer, template) if written else None


def tongue_of(words: tuple[PreTrainedTokenizerFast, Renderer | None], model: PreTrainedModel) -> TokenizerTongue:
    return TokenizerTongue(*words, embedding_rows(model), frozenset(end_ids(model)))


def open_outline(name: str, template: str) -> tuple[TokenizerTongue, int]:
    """The words of a folder of safetensors that another program will load, and the positions of its model."""
    folder = locate(name)
    if (folder / ADAPTER).is_file():
        raise UserError(
            tr("{name} is an adapter: its weights lie beside those of its base", name=name),
            tr("tunesmith export {name} --to merged makes one model of both; or leave out --engine", name=name),
        )
    words, model = open_words(name, template), outline(folder)
    return tongue_of(words, model), positions(model)


def prove(proofs: Sequence[Proof], say: Say) -> None:
    """Say what was proven. Raises ProofError if anything was not."""
    for made in proofs:
        say(f"  {'✓' if made.passed else '✗'} {made.name}  {made.detail}  ({made.checked:,})")
    require(proofs, tr("serve it with the template that it was tuned with"))


def engine_for(model: PreTrainedModel, tongue: Tongue, limits: Limits) -> tuple[Engine, Proof]:
    """Continuous batching where it gives what plain decoding gives; else plain decoding, and why."""
    context = min(limits.context or CONTEXT, positions(model))
    probes = [tuple(tongue.encode(text)) or (0,) for text in ("1 + 1 =", "Hello, 你好! " * 12, "a")]
    reason = unfit(model)
    if not reason:
        try:
            engine = ContinuousEngine(model, context, limits.parallel)
        except (*BROKEN, NotImplementedError) as error:
            reason = brief(error)
        else:
            reason = differs(engine, model, probes)
            if not reason:
                detail = tr("continuous batching says what plain decoding says")
                return engine, Proof("engine", True, len(probes), detail)
            engine.close()
    Continuation(model, probes[0]).logits()  # refuses a model that cannot be asked token by token
    plain = SlotEngine(SerialDecoder(model, context, limits.parallel))
    return plain, Proof("engine", True, 0, tr("answers are computed one by one: {reason}", reason=reason))


def unfit(model: PreTrainedModel) -> str:
    """Why continuous batching has no place for such a model; empty if it may have."""
    if opening(model):
        return tr("an encoder–decoder has two texts")
    if prompt_length(model):
        return tr("a soft prompt stands before the text")
    return ""


def differs(engine: Engine, model: PreTrainedModel, probes: Sequence[tuple[int, ...]]) -> str:
    """Where the engine's greedy answers leave those of plain decoding; empty if they do not."""
    sampling = Sampling(max_new_tokens=max(1, min(TRIED, engine.context - max(map(len, probes)))))
    asks = [Ask(probe, frozenset(), sampling) for probe in probes]
    try:
        mine = asyncio.run(all_answers(engine, asks))
    except EngineError as error:
        return brief(error)
    for ask, said in zip(asks, mine, strict=True):
        plain = list(generate(model, ask.ids, (), sampling))
        place = next((i for i, pair in enumerate(zip(said, plain, strict=True)) if pair[0] != pair[1]), None)
        if place is not None and not close(model, [*ask.ids, *plain[:place]], said[place], plain[place]):
            return tr("transformers' continuous batching computes this model differently")
    return ""


async def all_answers(engine: Engine, asks: Sequence[Ask]) -> list[list[int]]:
    async def tokens(ask: Ask) -> list[int]:
        return [step.token async for steps in engine.answer(ask) for step in steps]

    return list(await asyncio.gather(*map(tokens, asks)))


def close(model: PreTrainedModel, ids: Sequence[int], one: int, other: int) -> bool:
    """Whether two tokens are as good as equally likely after `ids`."""
    logits = Continuation(model, ids).logits()
    return abs(float(logits[one] - logits[other])) < CLOSE


def prompt_proofs(folder: Path, tongue: Tongue) -> list[Proof]:
    """Whether prompts are written as training or export recorded them; nothing where neither did."""
    record = recorded(folder)
    return [prove_recorded(tongue.prompt, record)] if record and tongue.chats else []


def recorded(folder: Path) -> list[dict[str, Any]]:
    """[{"messages", "ids"}] that a tuning noted in its manifest, or an export among its golden answers."""
    found = [("ids", row) for row in rows(folder / MANIFEST)] + [("prompt_ids", row) for row in rows(folder / GOLDEN)]
    return [{"messages": row["messages"], "ids": row[key]} for key, row in found]


def rows(file: Path) -> list[dict[str, Any]]:
    """What stands in a file under "prompts"."""
    return list(read_object(file, tr("restore the file")).get("prompts", ())) if file.is_file() else []
