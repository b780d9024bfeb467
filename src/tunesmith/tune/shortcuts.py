"""Ways to do less work for the same gradient, kept only where they prove exact on the user's own model and rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunesmith.batch import Batch, Example
from tunesmith.messages import tr
from tunesmith.models.adapted import bare
from tunesmith.models.attention import NAME, take_over
from tunesmith.models.compiled import compile_layers
from tunesmith.models.load import brief
from tunesmith.models.tied import add_in_place
from tunesmith.objectives.base import Objective
from tunesmith.proof import Proof
from tunesmith.recipe import LossPer
from tunesmith.tune.feed import Layout, collate
from tunesmith.tune.parallel import agreed, compute, local, running

LIMIT = 1e-4  # relative; fp32 sums in another order differ by about 1e-6
FLOOR = 1e-2  # a tensor whose gradient is under this share of the largest is measured against that share

LARGE, EVERY = 1 << 20, 61  # of tensors with more numbers than that, every 61st is compared


@dataclass(frozen=True, slots=True)
class Way:
    """packed: examples end to end in one row; shared: common heads once; fused: no logits held; compiled: layers."""

    packed: bool = False
    shared: bool = False
    fused: bool = False
    compiled: bool = False

    def layout(self, micro_tokens: int, pad: int, loss_per: LossPer = "token") -> Layout:
        return Layout(micro_tokens, pad, self.packed, self.shared, loss_per)

    def __str__(self) -> str:
        names = {
            "packed": tr("packing"),
            "shared": tr("shared heads"),
            "fused": tr("fused loss"),
            "compiled": tr("compiled layers"),
        }
        return ", ".join(text for name, text in names.items() if getattr(self, name)) or tr("padding")


PLAIN = Way()
BEST_FIRST = (Way(True, True, True), Way(True, False, True), Way(False, False, True), Way(True, True), Way(True))


@dataclass(frozen=True, slots=True)
class Measured:
    loss: float
    gradient: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Untaken:
    """A way that was not taken, and why."""

    way: Way
    why: str

    def __str__(self) -> str:
        return tr("not {way} ({why})", way=self.way, why=self.why)


def choose(
    model: PreTrainedModel,
    objective: Objective,
    rows: Sequence[Example],
    pad: int,
    packing: bool,
    sharing: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Way, Proof]:
    """The first way of BEST_FIRST whose loss and gradient are those of each row alone; else the plain way.

    Without `sharing`, or where the model drops out, no heads are shared: each example has chances of its own. What
    was asked for and is not taken is said.
    """
    model.eval()
    inner = bare(model)
    own = inner.config._attn_implementation
    alone = measure(model, objective.with_fused(False), [collate([row], pad) for row in rows])
    tied = add_in_place(inner) if not running() else []
    found, least, tried = PLAIN, 0.0, list[Untaken]()
    if packing and (why := unpackable(inner, rows)):
        packing = False
        tried.append(Untaken(Way(packed=True), why))
    for way in BEST_FIRST:
        if way.packed > packing or way.shared > (sharing and not drops(model)):
            continue
        if packing:
            inner.set_attn_implementation(NAME if way.packed else own)
        apart, why = difference(model, objective, rows, pad, way, alone)
        if apart <= LIMIT:
            found, least = way, apart
            break
        tried.append(Untaken(way, why if apart == float("inf") else off(apart)))
    else:
        apart = 0.0  # the plain way is what the others are measured against
        for hook in tied:
            hook.remove()
    if packing and not found.packed:
        inner.set_attn_implementation(own)
    model.zero_grad(set_to_none=True)
    for line in lost(found, tried):
        say(line)
    detail = tr(
        "{way}: loss and gradient differ by {apart} (relative) from those of each row alone",
        way=found,
        apart=f"{least:.1e}",
    )
    reasons = [detail, *map(str, tried)]
    return found, Proof("shortcuts_change_nothing", True, len(rows), "; ".join(reasons), least, LIMIT)


def unpackable(model: PreTrainedModel, rows: Sequence[Example]) -> str:
    """Why rows cannot stand end to end, whatever they are; empty where they can, and the model has our attention."""
    if any(row.encoder_ids for row in rows):
        return tr("an encoder's rows stand alone")
    return "" if take_over(model) else tr("this kind of model does not let its attention be replaced")


def lost(found: Way, tried: Sequence[Untaken]) -> Iterator[str]:
    """What could be saved and is not, with the reason of the simplest way that would have saved it."""
    why = {name: untaken.why for untaken in tried for name, taken in asdict(untaken.way).items() if taken}
    if "packed" in why and not found.packed:
        yield tr("examples of like length are padded together, not packed: {why}", why=why["packed"])
    if "shared" in why and found.packed and not found.shared:
        yield tr("a head that packed examples share is computed for each of them: {why}", why=why["shared"])
    if "fused" in why and not found.fused:
        yield tr("the logits of a forward pass are held all at once: {why}", why=why["fused"])


def off(apart: float) -> str:
    return tr(
        "loss or gradient would be {apart} (relative) off those of each row alone, over {limit}",
        apart=f"{apart:.1e}",
        limit=LIMIT,
    )


def again(model: PreTrainedModel, known: dict[str, bool]) -> Way:
    """The way that an interrupted run went."""
    way = Way(**known)
    if (way.packed or way.fused) and not running():
        add_in_place(bare(model))
    if way.packed:
        take_over(bare(model))
    if way.compiled:
        compile_layers(model)
    return way


def difference(
    model: PreTrainedModel, objective: Objective, rows: Sequence[Example], pad: int, way: Way, alone: Measured
) -> tuple[float, str]:
    """How far a way is from the plain one, and that in words; infinitely, where the model does not go along."""
    batches = way.layout(1 << 62, pad).batches(rows)
    try:
        found = measure(model, objective.with_fused(way.fused), batches)
    except torch.OutOfMemoryError:  # says nothing about the way; tune tells what to lower
        raise
    except (NotImplementedError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        return float("inf"), brief(error)
    loss_apart = abs(found.loss - alone.loss) / max(abs(alone.loss), 1e-12)
    apart = agreed(max(loss_apart, distance(found.gradient, alone.gradient)))
    return apart, f"{apart:.1e}"


def measure(model: PreTrainedModel, objective: Objective, batches: Sequence[Batch]) -> Measured:
    """Loss per term, and witnesses of the gradient of every parameter that has one (of a split one, of its part)."""
    model.zero_grad(set_to_none=True)
    terms = sum(float(objective.terms(batch)) for batch in batches)
    loss = 0.0
    for batch in batches:
        part = compute(model, objective, batch.to(model.device)).loss / terms
        part.backward()
        loss += float(part.detach())
    gradient = {name: witness(local(p.grad)) for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return Measured(loss, gradient)


def witness(gradient: Tensor) -> Tensor:
    """What is kept of a gradient to compare: all of a small one; of a large one a part of every row, and its norm."""
    if gradient.numel() <= LARGE:
        return gradient
    norm = torch.linalg.vector_norm(gradient) / gradient.numel() ** 0.5
    return torch.cat([gradient.flatten()[::EVERY], norm[None]])


def distance(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    """Largest difference of any tensor, as a share of its largest value."""
    if left.keys() != right.keys():
        return float("inf")
    filled = {name: tensor for name, tensor in right.items() if tensor.numel()}
    largest = max((float(tensor.abs().max()) for tensor in filled.values()), default=0.0)
    apart = 0.0
    for name, tensor in filled.items():
        size = max(float(tensor.abs().max()), FLOOR * largest, 1e-30)
        found = float((left[name] - tensor).abs().max()) / size
        apart = max(apart, found if found == found else float("inf"))
    return apart


def drops(model: PreTrainedModel) -> bool:
    """Whether training draws random masks: what is computed once would then be masked once."""
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules()):
        return True
    settings = bare(model).config.get_text_config().to_dict()
    return any(isinstance(value, float) and value > 0 for name, value in settings.items() if "drop" in name)
