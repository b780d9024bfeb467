"""The card names what a model was tuned on, with licences and generators, and says what is not known."""

import json
from pathlib import Path

import pytest

from tests.data.test_preparing import prepare
from tunesmith.data.inputs import take
from tunesmith.export.card import Card
from tunesmith.export.lineage import Ancestor
from tunesmith.export.sources import sources


def write(file: Path, count: int, **facts: str) -> Path:
    rows = [{"instruction": f"Say {n} of {file.stem}.", "output": f"{n}", **facts} for n in range(count)]
    file.write_text(json.dumps(rows))
    return file


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Two sources, one of which states that it is not for commercial use."""
    write(tmp_path / "alpaca.json", 6)
    write(tmp_path / "own.json", 3, license="MIT")
    recipe = tmp_path / "recipe.yaml"
    facts = "licence: CC BY-NC 4.0, generator: text-davinci-003"
    recipe.write_text(f"sources: [{{path: alpaca.json, {facts}}}, own.json]\nsteps: [{{lengths: {{answer: 1}}}}]\n")
    prepare(str(recipe), tmp_path / "prepared")
    return tmp_path / "prepared"


def manifest(*paths: Path) -> dict[str, object]:
    """What tuning on these records."""
    names = [str(path) for path in paths]
    return {"config": {"data": names}, "inputs": take(names).hashes}


def card(told: dict[str, object], licence: str = "apache-2.0") -> str:
    lineage = [Ancestor("mine", "ab", told), Ancestor("base", "cd", {}, licence), Ancestor("root", "")]
    return Card("mine", "gguf", lineage, sources(told), (), (), None).write()


def test_prepared_data_is_told_source_by_source_with_a_warning(prepared: Path) -> None:
    text = card(manifest(prepared))
    assert "| alpaca | 6 | CC BY-NC 4.0 (6) | text-davinci-003 (6) |" in text
    assert "| own | 3 | MIT (3) | unknown (3) |" in text
    assert "- ⚠ alpaca: 6 rows are licensed CC BY-NC 4.0: not for commercial use" in text
    assert "\nlicense: other\n" in text
    assert "| root | – | unknown |" in text
    assert str(prepared.parent) not in text.partition("## Data")[2]


def test_other_data_is_told_by_what_its_rows_say(tmp_path: Path) -> None:
    free, silent = (
        write(tmp_path / "free.json", 2, license="MIT", generator="people"),
        write(tmp_path / "silent.json", 4),
    )
    text = card(manifest(free, silent))
    assert "| free.json | 2 | MIT (2) | people (2) |" in text
    assert "| silent.json | 4 | unknown (4) | unknown (4) |" in text
    assert "- ⚠ silent.json: 4 rows state no licence" in text
    assert "\nlicense: apache-2.0\n" in text


def test_data_that_is_gone_or_changed_is_unknown(tmp_path: Path) -> None:
    changed, gone = write(tmp_path / "changed.json", 2, license="MIT"), write(tmp_path / "gone.json", 2)
    told = manifest(changed, gone)
    changed.write_text(changed.read_text() + " ")
    gone.unlink()
    text = card(told)
    assert "| changed.json | unknown | unknown | unknown |" in text
    assert "| gone.json | unknown | unknown | unknown |" in text
    assert "What the model was tuned on is not known." in card({})
