"""A GGUF behind the same server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.chat.conftest import KNOWN
from tests.serve.conftest import LIMITS, Site, serving
from tunesmith.chat import open_session
from tunesmith.errors import ProofError, UserError
from tunesmith.export.target import Work
from tunesmith.export.targets.gguf import Gguf
from tunesmith.models.llamacpp import installed
from tunesmith.serve.house import House
from tunesmith.serve.loading import open_models

pytestmark = pytest.mark.skipif(not installed(), reason="the extra llamacpp is not installed")


@pytest.fixture(scope="module")
def exported(assistant: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    renderer = open_session(str(assistant)).renderer
    Gguf(quant="F32").write(Work(str(assistant), assistant, renderer), folder)
    return folder


@pytest.fixture(scope="module")
def gguf_site(exported: Path) -> Iterator[Site]:
    models = open_models([str(exported / "model.gguf")], "", LIMITS, lambda text: None)
    with serving(House(models, LIMITS)) as made:
        yield made
    for served in models.values():
        served.engine.close()


def test_it_says_what_the_model_says(gguf_site: Site) -> None:
    with gguf_site.client() as client:
        (model,) = client.models.list()
        for asked, said in KNOWN.items():
            found = client.chat.completions.create(
                model=model.id, messages=[{"role": "user", "content": asked}], temperature=0, n=2, logprobs=True
            )
            assert [choice.message.content for choice in found.choices] == [said, said]
            assert found.usage.completion_tokens == 2 * len(said.encode())
            assert len(found.choices[0].logprobs.content) == len(said.encode())
        scored = client.completions.create(model=model.id, prompt=[1, 2, 3], echo=True, logprobs=1, max_tokens=0)
        assert len(scored.choices[0].logprobs.token_logprobs) == 3
        shown: dict[str, Any] = {"type": "object", "properties": {"n": {"enum": [1, "你"]}}, "required": ["n"]}
        shown |= {"additionalProperties": False}
        found = client.chat.completions.create(
            model=model.id,
            messages=[{"role": "user", "content": "hi"}],
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": shown}},
        )
        assert json.loads(str(found.choices[0].message.content))["n"] in (1, "你")
        with pytest.raises(openai.BadRequestError, match="hidden states"):
            client.embeddings.create(model=model.id, input="a")


def test_an_export_is_served_by_its_folder_and_must_write_the_golden_prompts(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").symlink_to(exported / "model.gguf")
    golden = {"messages": [{"role": "user", "content": "hi"}], "prompt_ids": [1, 2, 3]}
    (tmp_path / "golden.json").write_text(json.dumps({"prompts": [golden]}), encoding="utf-8")
    with pytest.raises(ProofError, match="other prompt ids") as refusal:
        open_models([str(tmp_path)], "", LIMITS, lambda text: None)
    assert refusal.value.exit_code == 3
    with pytest.raises(UserError, match="brings its own"):
        open_models([str(tmp_path)], "chatml", LIMITS, lambda text: None)


def test_a_torn_file_is_the_users_error(exported: Path, tmp_path: Path) -> None:
    whole = (exported / "model.gguf").read_bytes()
    for name, content in (("torn", whole[: len(whole) // 2]), ("foreign", b"PK\x03\x04" * 100), ("empty", b"")):
        (tmp_path / f"{name}.gguf").write_bytes(content)
        with pytest.raises(UserError) as refusal:
            open_models([str(tmp_path / f"{name}.gguf")], "", LIMITS, lambda text: None)
        assert refusal.value.exit_code == 2
