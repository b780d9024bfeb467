"""Refusals that concern a place in a file rather than a field of a record."""

from tunesmith.formats.open import stream
from tunesmith.messages import tr
from tunesmith.records import Origin, Refusal

SHOWN = 200  # characters of an over-long record that go into the rejects file


def whole_file(file: str, kind: stream.Kind) -> Refusal:
    """Why nothing in a file can be read."""
    reasons = {
        "empty": (tr("is empty"), tr("check how it was made")),
        "lfs": (tr("is a Git LFS pointer, not the data itself"), tr("run: git lfs pull")),
        "utf16": (tr("is UTF-16, not UTF-8"), tr("convert it: iconv -f UTF-16 -t UTF-8 FILE")),
        "binary": (tr("is binary, not text"), tr("give a JSON, JSONL, CSV, TSV, Parquet or text file")),
    }
    reason, cure = reasons[kind]
    return Refusal(Origin(file), "file", reason, cure)


def broken(file: str, error: Exception) -> Refusal:
    """The rest of a file cannot be read."""
    reason = tr("cannot be read to its end ({error})", error=str(error)[:200])
    return Refusal(Origin(file), "file", reason, tr("copy or download it again; the records before this are kept"))


def too_long(origin: Origin, start: str) -> Refusal:
    reason = tr("is longer than {limit} MiB", limit=f"{stream.LONGEST / (1 << 20):g}")
    cure = tr("write one record per line, or split this one")
    return Refusal(origin, "record", reason, cure, start[:SHOWN] + "…")


def not_utf8(origin: Origin, offset: int, code: int, raw: str) -> Refusal:
    reason = tr("is not UTF-8 (byte 0x{code} at offset {offset})", code=f"{code:02X}", offset=offset)
    return Refusal(origin, "record", reason, tr("convert the file to UTF-8 (GBK: iconv -f GBK -t UTF-8 FILE)"), raw)


def not_json(origin: Origin, error: str, raw: str) -> Refusal:
    reason = tr("is not valid JSON ({error})", error=error)
    return Refusal(origin, "record", reason, tr("repair the record, or write the file with a JSON library"), raw)


def cut_off(origin: Origin, raw: str) -> Refusal:
    reason = tr("the file ends inside this record")
    return Refusal(origin, "record", reason, tr("download or export the file again"), raw)


def unclosed(origin: Origin) -> Refusal:
    reason = tr("the file ends before the list is closed with ]")
    return Refusal(origin, "file", reason, tr("it may have been cut: download or export it again"))
