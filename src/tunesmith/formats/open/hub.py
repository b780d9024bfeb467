"""Records of a data set on the Hugging Face hub, streamed over the network."""

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies

from tunesmith.errors import UserError, missing_extra
from tunesmith.formats.row import Row
from tunesmith.messages import tr
from tunesmith.records import Origin

ID = re.compile(r"[\w.-]+/[\w.-]+")


def read_hub(name: str, subset: str | None = None, split: str = "train", folder: str | None = None) -> Iterator[Row]:
    """The rows of one split of a data set such as "owner/name"."""
    try:
        from datasets.load import load_dataset
        from huggingface_hub.constants import ENDPOINT
    except ImportError:
        raise missing_extra("datasets", "hub", tr("Reading {name} from the hub", name=name)) from None
    try:
        reach(ENDPOINT)
        rows = load_dataset(name, subset, split=split, streaming=True, data_dir=folder)
        for number, value in enumerate(rows, 1):
            yield Row(Origin(name, number), value)
    except (OSError, ValueError, RuntimeError) as error:
        reason = tr("{name} is no file here and cannot be read from the hub ({error})", name=name, error=brief(error))
        cure = tr("this needs a network and an existing id; a local file or folder needs neither")
        raise UserError(reason, cure) from None


def reach(address: str) -> None:
    """Raise OSError at once where the hub's name cannot be looked up; the library would try for half a minute."""
    if not getproxies():
        socket.getaddrinfo(urlsplit(address).hostname, 443)


def brief(error: Exception) -> str:
    """The first line of an error, or its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
