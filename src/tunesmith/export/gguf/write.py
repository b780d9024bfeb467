"""A model folder → GGUF files, one tensor at a time in memory."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import UserError, missing_extra
from tunesmith.export.gguf import kquants
from tunesmith.export.gguf.mix import QUANTS, QuantName, kind
from tunesmith.export.gguf.shapes import shape_of, weights_among
from tunesmith.export.gguf.shapes.shape import Config, Floats, Shape
from tunesmith.messages import tr

if TYPE_CHECKING:
    from gguf import GGUFWriter, TensorNameMap

    from tunesmith.export.gguf.vocabulary import Field

SUFFIXES = (".weight", ".bias")


@dataclass(frozen=True, slots=True)
class Folder:
    """The tensors of a model folder: name → file that holds it, and their shapes."""

    files: dict[str, Path]
    shapes: dict[str, tuple[int, ...]] = field(repr=False)

    def read(self, name: str) -> Floats:
        """One tensor as float32."""
        from safetensors import safe_open

        with safe_open(self.files[name], "pt") as file:
            return np.asarray(file.get_tensor(name).float().numpy(), np.float32)


def open_folder(path: Path) -> Folder:
    from safetensors import SafetensorError, safe_open

    files: dict[str, Path] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(path.glob("*.safetensors")):
        try:
            with safe_open(file, "pt") as opened:
                for name in opened.keys():  # noqa: SIM118  (it is no mapping)
                    files[name], shapes[name] = file, tuple(opened.get_slice(name).get_shape())
        except SafetensorError as error:
            raise UserError(
                tr("{path} is not readable safetensors: {reason}", path=file, reason=error), tr("save the model again")
            ) from error
    return Folder(files, shapes)


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor as it will stand in the file: GGUF name, shape, ggml type; its name in the folder, "" if computed."""

    name: str
    shape: tuple[int, ...]
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """A folder with its configuration and the shape that it has."""

    folder: Folder
    config: Config
    shape: Shape
    tables: dict[str, Floats]

    @property
    def layers(self) -> int:
        return int(self.config[self.shape.layers])

    def names(self) -> dict[str, str]:
        """GGUF name → name in the folder; an output layer that is the embedding is left out."""
        known = name_map(self.shape.architecture, self.layers)
        found: dict[str, str] = {}
        for name in weights_among(self.folder.files):
            found[gguf_name(known, name.removeprefix(self.shape.prefix))] = name
        if self.config.get("tie_word_embeddings"):
            found.pop("output.weight", None)
        return found

    def plan(self, quant: QuantName) -> list[Planned]:
        """Every tensor and its type, in the order of layers."""
        names = self.names()
        tied = "output.weight" not in names
        shapes = {name: self.folder.shapes[source] for name, source in names.items()}
        shapes |= {name: table.shape for name, table in self.tables.items()}
        return [
            Planned(name, shape, kind(name, shape, QUANTS[quant], self.layers, tied), names.get(name, ""))
            for name, shape in sorted(shapes.items())
        ]

    def weight(self, planned: Planned) -> Floats:
        """A tensor in the order of llama.cpp."""
        if not planned.source:
            return self.tables[planned.name]
        return self.shape.arrange(planned.name, self.folder.read(planned.source), self.config)


def open_model(path: Path) -> Model:
    """A folder ready to be written. Raises UserError when its shape is none of ours."""
    from tunesmith.models.load import check_files, read_config

    check_files(path)
    folder, config = open_folder(path), read_config(path).to_dict()
    shape = shape_of(folder.files, config)
    return Model(folder, config, shape, shape.tables(config))


def package() -> Any:
    """The gguf package. Raises UserError when the extra is not installed."""
    try:
        import gguf
    except ImportError as error:
        raise missing_extra("gguf", "gguf", tr("writing GGUF files")) from error
    logging.getLogger("gguf").setLevel(logging.ERROR)  # it warns when a small model needs no shards
    return gguf


def name_map(architecture: str, layers: int) -> "TensorNameMap":
    gguf = package()
    number = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}[architecture]
    found: TensorNameMap = gguf.get_tensor_name_map(number, layers)
    return found


def gguf_name(known: "TensorNameMap", name: str) -> str:
    found = known.get_name(name, try_suffixes=SUFFIXES)
    assert found, name  # the shape knows its tensors, and the map those of all shapes
    return str(found)


def write_model(
    path: Path,
    model: Model,
    quant: QuantName,
    fields: "Mapping[str, Field]",
    importance: Mapping[str, Floats] | None = None,
    shard_bytes: int = 0,
) -> list[Path]:
    """Write `path`, or shards beside it where it would be larger than `shard_bytes`; returns the files.

    importance  GGUF name of a matrix → mean squares of what its columns are multiplied with
    """
    plan = model.plan(quant)
    data = (encoded(model.weight(one), one.kind, (importance or {}).get(one.name)) for one in plan)
    return write_planned(path, model, quant, fields, plan, data, shard_bytes)


def write_requantized(
    path: Path,
    model: Model,
    quant: QuantName,
    fields: "Mapping[str, Field]",
    importance: Mapping[str, Floats] | None = None,
    shard_bytes: int = 0,
) -> list[Path]:
    """As write_model, with the bytes that llama.cpp's own quantizer makes."""
    from tunesmith.models.gguf_file import read_gguf
    from tunesmith.models.llamacpp import quantize

    with TemporaryDirectory(dir=path.parent) as folder:
        whole, small = Path(folder) / "whole.gguf", Path(folder) / "small.gguf"
        write_model(whole, model, "F32", fields)
        quantize(whole, small, QUANTS[quant].number, importance or {})
        whole.unlink()
        places = {place.name: place for place in read_gguf(small).tensors}
        plan = [replace(one, kind=places[one.name].kind) for one in model.plan(quant)]
        stored = (np.memmap(small, np.uint8, "r", places[one.name].offset, (places[one.name].size,)) for one in plan)
        return write_planned(path, model, quant, fields, plan, stored, shard_bytes)


def write_planned(
    path: Path,
    model: Model,
    quant: QuantName,
    fields: "Mapping[str, Field]",
    plan: Sequence[Planned],
    data: Iterator[NDArray[Any]],
    shard_bytes: int,
) -> list[Path]:
    """The tensors of `plan`, whose bytes are `data`, behind everything that llama.cpp must know of them."""
    prefix = model.shape.architecture
    writer = package().GGUFWriter(path, prefix, split_max_size=shard_bytes)
    put_all(writer, {"general.type": "model", "general.file_type": QUANTS[quant].number})
    put_all(writer, {"general.quantization_version": 2})
    put_all(writer, {f"{prefix}.{key}": value for key, value in model.shape.fields(model.config).items()})
    put_all(writer, fields)
    for tensor in plan:
        announce(writer, tensor)
    return finish(writer, data)


def write_words(path: Path, fields: "Mapping[str, Field]") -> None:
    """A GGUF that holds a tokenizer and nothing else."""
    writer = package().GGUFWriter(path, "llama")
    put_all(writer, fields)
    finish(writer, iter(()))


def announce(writer: "GGUFWriter", tensor: Planned) -> None:
    """Enter a tensor in the table of the file."""
    gguf = package()
    number = gguf.GGMLQuantizationType[tensor.kind]
    block, size = gguf.GGML_QUANT_SIZES[number]
    total = int(np.prod(tensor.shape)) // block * size
    writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), total, raw_dtype=number)


def finish(writer: "GGUFWriter", tensors: Iterator[NDArray[Any]]) -> list[Path]:
    """Write head, table and data; returns the files."""
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            writer.write_tensor_data(tensor)
        for file in writer.fout or ():
            writer.write_padding(file, file.tell())
    finally:
        writer.close()
    assert writer.path is not None
    return writer.format_shard_names(writer.path)


def encoded(weight: Floats, wanted: str, importance: Floats | None = None) -> NDArray[Any]:
    """A tensor as the bytes of a ggml type."""
    if wanted in kquants.PACKERS:
        return kquants.quantize(weight, wanted, importance)
    gguf = package()
    found: NDArray[Any] = gguf.quants.quantize(np.ascontiguousarray(weight), gguf.GGMLQuantizationType[wanted])
    return found


def put_all(writer: "GGUFWriter", fields: "Mapping[str, Field]") -> None:
    for key, value in fields.items():
        put(writer, key, value)


def put(writer: "GGUFWriter", key: str, value: "Field") -> None:
    """One field, in the type that its Python type stands for."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
