"""A model or a tokenizer by its name: a folder, "nano", or a Hugging Face hub id.

Only safetensors are read (a pickle can run code), and never code that comes with a model. A model
whose file lacks weights is refused: transformers would fill the gaps with random numbers.
"""

import json
import warnings
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    StrictDataclassError,
)
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from tunesmith.artifact import hash_file
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.adapted import bare, prompt_length
from tunesmith.models.packed import unpacking

if TYPE_CHECKING:
    from tunesmith.models.surgery.quantize import Quantize4bit

Dtype = Literal["fp32", "bf16"]
DTYPES: dict[Dtype, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
ADAPTER = "adapter_config.json"
BASE = "base.json"  # beside an adapter: name and content hash of the model that it changes
# What transformers and peft raise for files that are torn, odd, or do not belong together.
BROKEN = (
    OSError,
    ValueError,
    RuntimeError,
    TypeError,
    KeyError,
    AttributeError,
    SafetensorError,
    StrictDataclassError,
)
HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


def load_model(base: str, dtype: Dtype = "fp32") -> PreTrainedModel:
    """The language model called `base`, causal or encoder–decoder, on the CPU, in evaluation mode.

    An adapter comes on its base.
    """
    folder = locate(base)
    quiet()
    return load_adapter(folder, dtype) if (folder / ADAPTER).is_file() else load_folder(folder, dtype)


def load_quantized(base: str, how: "Quantize4bit", dtype: Dtype = "fp32") -> PreTrainedModel:
    """The model called `base` with its linear layers in 4 bits, the rest in `dtype`.

    An adapter is merged into its base first, unquantized and by way of a temporary folder.
    """
    folder = locate(base)
    quiet()
    if not (folder / ADAPTER).is_file():
        return load_folder(folder, dtype, how)
    with TemporaryDirectory() as whole:
        merged(load_adapter(folder, dtype)).save_pretrained(whole)
        return load_folder(Path(whole), dtype, how)


def load_tokenizer(base: str) -> PreTrainedTokenizerFast:
    """The tokenizer of `base`: a model's, or a tokenizer.json or SentencePiece tokenizer.model by its path."""
    from tunesmith.text import tokenizer

    path = Path(base).expanduser()
    return tokenizer.load_tokenizer(str(path if path.is_file() else locate(base)))


def locate(base: str) -> Path:
    """The folder that holds `base`; a hub id is fetched unless it is already in the local cache."""
    if base == "nano":
        return Path(import_module("tunesmith.models.nano").path())
    path = Path(base).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise UserError(tr("{path} is a file, not a model folder", path=base), tr("give the folder that holds it"))
    if not is_hub_id(base):
        raise UserError(tr("there is no model folder {path}", path=base), tr("check the path"))
    return fetch(base)


def is_hub_id(base: str) -> bool:
    """Could be `owner/name` or `name`; anything that looks like a path is none."""
    return bool(base) and base.count("/") <= 1 and not base.startswith((".", "/", "~")) and not base.endswith("/")


def fetch(base: str) -> Path:
    """The hub's files of a model, from the local cache if they are there."""
    try:
        return Path(snapshot_download(base, allow_patterns=HUB_FILES, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    try:
        return Path(snapshot_download(base, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        raise UserError(
            tr(
                "{base} is neither a folder here nor a model that the Hugging Face hub gave ({reason})",
                base=base,
                reason=brief(error),
            ),
            tr("check the name and the network, or give a local folder, or use nano, which needs no network"),
        ) from error


def load_folder(folder: Path, dtype: Dtype, quantize: "Quantize4bit | None" = None) -> PreTrainedModel:
    """A whole model from a folder of config.json and safetensors."""
    check_files(folder)
    config = read_config(folder)
    options = quantize.loading() if quantize else unpacking(config)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    try:
        loaded: Any = kind.from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    except BROKEN as error:
        raise cannot_load(folder, error) from error
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise UserError(
            tr(
                "the safetensors files in {folder} lack {count} weights that config.json asks for, the first is {name}",
                folder=folder,
                count=len(missing),
                name=missing[0],
            ),
            tr("check that config.json and the safetensors files are whole and belong together"),
        )
    if quantize:
        quantize.settle(model)
    say_what_is_tied(model)
    return cast(PreTrainedModel, model.eval())


def outline(folder: Path) -> PreTrainedModel:
    """A causal model without its weights: its shape and its settings."""
    check_files(folder)
    config = read_config(folder)
    if config.is_encoder_decoder:
        raise UserError(
            tr("{folder} holds an encoder–decoder, not a causal model", folder=folder), tr("leave out --engine")
        )
    try:
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        if (folder / "generation_config.json").is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder)
    except BROKEN as error:
        raise cannot_load(folder, error) from error
    return cast(PreTrainedModel, model)


def say_what_is_tied(model: Any) -> bool:
    """Let what grows or adapts the model tie the weights that are one tensor, and no others; true if there are any.

    transformers calls every T5 tied, even one whose output layer has weights of its own, and would overwrite them.
    """
    known, parameter = model.all_tied_weights_keys, model.get_parameter
    model._tied_weights_keys = {one: other for one, other in known.items() if parameter(one) is parameter(other)}
    return bool(model._tied_weights_keys)


def read_config(folder: Path) -> PretrainedConfig:
    """The config.json of a model folder."""
    try:
        found = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except BROKEN as error:
        raise cannot_load(folder, error) from error
    return cast(PretrainedConfig, found)


def cannot_load(folder: Path, error: BaseException) -> UserError:
    return UserError(
        tr("{folder} cannot be loaded as a language model: {reason}", folder=folder, reason=brief(error)),
        tr("check that config.json and the safetensors files are whole and belong together"),
    )


def check_files(folder: Path) -> None:
    """Refuse a folder that holds no readable model, with the reason that transformers would not give."""
    config = read_object(folder / "config.json", tr("a model folder holds config.json and *.safetensors"))
    if any(folder.glob("*.safetensors")):
        return
    if pickles := sorted(path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))):
        raise UserError(
            tr(
                "{folder} holds its weights as a pickle ({name}), which can run code when it is read",
                folder=folder,
                name=pickles[0],
            ),
            tr("convert it to safetensors where you trust it: save_pretrained of transformers writes them"),
        )
    raise UserError(
        tr(
            "{folder} holds config.json ({kind}) but no *.safetensors",
            folder=folder,
            kind=config.get("model_type", "?"),
        ),
        tr("a model folder holds config.json and *.safetensors"),
    )


def load_adapter(folder: Path, dtype: Dtype, quantized: bool = True) -> PreTrainedModel:
    """The base that the adapter in `folder` was trained on, with the adapter in place.

    quantized  False: on the full weights even where it was trained on 4 bits
    """
    from peft import PeftConfig, PeftModel

    from tunesmith.models.surgery.adapter import TOKEN_ROWS
    from tunesmith.models.surgery.grow_vocabulary import resize
    from tunesmith.models.surgery.quantize import Quantize4bit

    settings = read_object(folder / ADAPTER, tr("train the adapter again"))
    note = note_of(folder)
    base = base_of(folder, note, settings)
    if (how := note.get("quantized")) and quantized:
        model = load_quantized(base, Quantize4bit(bool(how["double"])), dtype)
    else:
        model = merged(load_model(base, dtype))
    model = resize(model, int(note.get("vocabulary", 0)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers under an old name
            config = PeftConfig.from_pretrained(str(folder), local_files_only=True)
            if rows := note.get("token_rows"):
                setattr(config, TOKEN_ROWS, rows)
            adapted = PeftModel.from_pretrained(model, str(folder), config=config, local_files_only=True)
    except BROKEN as error:
        raise UserError(
            tr(
                "the adapter in {folder} does not fit its base {base}: {reason}",
                folder=folder,
                base=base,
                reason=brief(error),
            ),
            tr("check that the adapter's files are whole and that the base is the one it was trained on"),
        ) from error
    if (folder / "generation_config.json").is_file():
        bare(cast(PreTrainedModel, adapted)).generation_config = GenerationConfig.from_pretrained(folder)
    return cast(PreTrainedModel, adapted.to(DTYPES[dtype]).eval())


def note_of(folder: Path) -> dict[str, Any]:
    """What was kept beside the adapter in `folder`; nothing where peft alone saved it."""
    return read_object(folder / BASE, "") if (folder / BASE).is_file() else {}


def base_name(folder: Path) -> str:
    """Name of the base of the adapter in `folder`, as it is kept there."""
    return named_base(folder, note_of(folder), read_object(folder / ADAPTER, tr("train the adapter again")))


def named_base(folder: Path, note: dict[str, Any], settings: dict[str, Any]) -> str:
    base = str(note.get("base") or settings.get("base_model_name_or_path") or "")
    if not base:
        raise UserError(
            tr("{folder} does not say which base its adapter needs", folder=folder), tr("train the adapter again")
        )
    return base


def base_of(folder: Path, note: dict[str, Any], settings: dict[str, Any]) -> str:
    """Name of the base of an adapter, checked against the content hash that was kept beside it."""
    base = named_base(folder, note, settings)
    wanted = note.get("sha256")
    if wanted and content_hash(base) != wanted:
        raise UserError(
            tr(
                "the base {base} is no longer the one that the adapter in {folder} was trained on",
                base=base,
                folder=folder,
            ),
            tr("restore the base, or train the adapter again"),
        )
    return base


def merged(model: PreTrainedModel) -> PreTrainedModel:
    """The model without an adapter: what the adapter adds goes into the weights, in full precision."""
    from peft import PeftModel

    from tunesmith.models.surgery.adapter import merge_rows
    from tunesmith.models.surgery.quantize import dequantized, quantization

    if not isinstance(model, PeftModel):
        return model
    if prompt_length(model):
        name = model.active_peft_config.base_model_name_or_path
        raise UserError(
            tr("what this adapter of {base} learnt stands before the text and cannot go into the weights", base=name),
            tr("tune {base} itself, or an adapter of it that changes weights: lora, qlora or ia3", base=name),
        )
    whole = dequantized(model) if quantization(model) else model
    merge_rows(whole)
    plain: Any = whole.merge_and_unload()
    if say_what_is_tied(plain):
        plain.config.tie_word_embeddings = True  # peft calls nothing tied when the output layer alone is not
    return cast(PreTrainedModel, plain)


def positions(model: PreTrainedModel) -> int:
    """The longest sequence, in tokens, that the model is made for; a soft prompt takes its share."""
    longest = int(getattr(model.config, "max_position_embeddings", None) or 2**31)
    return longest - prompt_length(model)


def content_hash(base: str) -> str:
    """sha256 over the names and contents of the files that decide what the model `base` computes."""
    folder, digest = locate(base), sha256()
    names = ("config.json", ADAPTER, BASE)
    for file in sorted(file for file in folder.iterdir() if file.suffix == ".safetensors" or file.name in names):
        digest.update(f"{file.name}\0{hash_file(file)}\n".encode())
    return digest.hexdigest()


def read_object(path: Path, cure: str) -> dict[str, Any]:
    """The JSON object in a file of a model folder."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(tr("{path} does not exist", path=path), cure) from error
    except (OSError, ValueError) as error:
        raise UserError(tr("{path} is not readable JSON: {reason}", path=path, reason=brief(error)), cure) from error
    if not isinstance(value, dict):
        raise UserError(tr("{path} does not hold a JSON object", path=path), cure)
    return value


def brief(error: BaseException) -> str:
    """What a library says, on one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def quiet() -> None:
    """Keep transformers' progress bars and load reports off the terminal: this module says what matters."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
