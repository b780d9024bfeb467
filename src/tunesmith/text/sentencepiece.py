"""SentencePiece `tokenizer.model` files as fast tokenizers, checked against SentencePiece itself.

The pieces, scores and normaliser of the model file are carried over to the `tokenizers` library,
which encodes many texts at once and knows control tokens. Text between control tokens is
normalised on its own (each run gets the dummy prefix), as LLaMA's first tokenizers did.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.errors import UserError
from tunesmith.messages import tr

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPACE = "▁"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6  # sentencepiece_model.proto, SentencePiece.Type
UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType

PIECES_IN_A_PROBE = 16
PROBES = (
    "Hello world, it's  two   spaces",
    "你好，世界！这是一个测试。",
    " leading and trailing ",
    "a\nb\tc",
    "😀 emoji, é, ﬁ",
    "1234 5.6 = 6834.6",
    "﹏ rare 𠮷",
    "　全角　",
    "ASSISTANT: yes</p>",
)


def load(path: Path) -> "tuple[Tokenizer, dict[str, str]]":
    """The fast tokenizer of a SentencePiece model file, and its special tokens by role (bos_token, …).

    Raises UserError when the file is no SentencePiece model, or when the two disagree on any probe text.
    """
    proto = read_proto(path)
    tokenizer = build(proto)
    difference = first_difference(path, tokenizer, [*PROBES, *own_probes(proto)])
    if difference is not None:
        raise UserError(
            tr(
                "{path}: its fast form encodes {text!r} otherwise than SentencePiece does",
                path=path,
                text=difference[:40],
            ),
            tr("use the tokenizer.json of the same model"),
        )
    return tokenizer, roles(proto)


def read_proto(path: Path) -> Any:
    """The parsed ModelProto."""
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError:
        proto = None
    if proto is None or not proto.pieces:
        raise UserError(
            tr("{path} is not a SentencePiece model", path=path),
            tr("give a tokenizer.json, a SentencePiece tokenizer.model, or a model folder"),
        )
    return proto


def build(proto: Any) -> "Tokenizer":
    """ModelProto → tokenizers.Tokenizer with the same pieces, ids and normalisation."""
    from tokenizers import AddedToken, Tokenizer, decoders

    tokenizer = Tokenizer(bpe_model(proto) if proto.trainer_spec.model_type == BPE else unigram_model(proto))
    tokenizer.normalizer = normalizer(proto.normalizer_spec)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        + ([decoders.Strip(" ", 1, 0)] if proto.normalizer_spec.add_dummy_prefix else [])
    )
    special = [piece.piece for piece in proto.pieces if piece.type in (UNKNOWN, CONTROL)]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in special])
    mine = [piece.piece for piece in proto.pieces if piece.type == USER_DEFINED]
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in mine])
    return tokenizer


def bpe_model(proto: Any) -> Any:
    """Merges are every pair of pieces that joins to a piece, in the order of the joined piece's score."""
    from tokenizers import models

    vocabulary = {piece.piece: index for index, piece in enumerate(proto.pieces)}
    ranked = sorted(
        ((piece.score, index, piece.piece) for index, piece in enumerate(proto.pieces) if piece.type == NORMAL),
        key=lambda item: (-item[0], item[1]),
    )
    merges = [
        (text[:cut], text[cut:])
        for _, _, text in ranked
        for cut in sorted(range(1, len(text)), key=lambda cut: (vocabulary.get(text[:cut], 0), cut))
        if text[:cut] in vocabulary and text[cut:] in vocabulary
    ]
    unknown = proto.pieces[proto.trainer_spec.unk_id].piece
    fallback = bool(proto.trainer_spec.byte_fallback)
    return models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=fallback)


def unigram_model(proto: Any) -> Any:
    from tokenizers import models

    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    return models.Unigram(pieces, proto.trainer_spec.unk_id, byte_fallback=bool(proto.trainer_spec.byte_fallback))


def normalizer(spec: Any) -> Any:
    """The normalisation that SentencePiece applies before it looks for pieces."""
    from tokenizers import Regex, normalizers

    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(left=True, right=True), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(" "))
    if spec.escape_whitespaces:
        steps.append(normalizers.Replace(" ", SPACE))
    return normalizers.Sequence(steps)


def own_probes(proto: Any) -> list[str]:
    """All pieces of the model, put together far from their neighbours, so that merges compete as in no dictionary.

    Vocabularies merged from two models fail here: pieces of equal score, whose order SentencePiece takes from the text.
    """
    pieces = [piece.piece.replace(SPACE, " ") for piece in proto.pieces if piece.type == NORMAL]
    stride = max(1, len(pieces) // PIECES_IN_A_PROBE)
    return ["".join(pieces[start::stride]) for start in range(stride)]


def first_difference(path: Path, tokenizer: "Tokenizer", probes: Iterable[str]) -> str | None:
    """The first probe text whose ids differ from SentencePiece's own."""
    import sentencepiece

    reference = sentencepiece.SentencePieceProcessor(model_file=str(path))
    for text in probes:
        if tokenizer.encode(text, add_special_tokens=False).ids != reference.encode(text):
            return text
    return None


def roles(proto: Any) -> dict[str, str]:
    """Special tokens by their role, from the ids that the model file names."""
    spec = proto.trainer_spec
    found = {}
    for role, index in (("bos", spec.bos_id), ("eos", spec.eos_id), ("unk", spec.unk_id), ("pad", spec.pad_id)):
        if 0 <= index < len(proto.pieces):
            found[f"{role}_token"] = proto.pieces[index].piece
    return found
