"""Real rows for the steps to be tried on."""

from itertools import islice
from pathlib import Path

import pytest

from tunesmith import formats
from tunesmith.records import Conversation


@pytest.fixture(scope="session")
def alpaca(shared: Path) -> list[Conversation]:
    """The first 2,000 rows of Stanford Alpaca, as released."""
    records = formats.read([str(shared / "tatsu-lab__stanford_alpaca/alpaca_data.json")])
    return list(islice((record for record in records if isinstance(record, Conversation)), 2000))
