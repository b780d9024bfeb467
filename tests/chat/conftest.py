"""A tiny model that learnt three conversations by heart."""

from pathlib import Path

import pytest

from tests.toys import byte_tokenizer, save_base
from tunesmith.models.load import load_model
from tunesmith.recipe import Budget, Tune
from tunesmith.records import Conversation, text_message
from tunesmith.text.render import Rendered, Renderer
from tunesmith.text.template import load_template
from tunesmith.tune.job import Job
from tunesmith.tune.run import tune

KNOWN = {"hi": "Hello! 👩‍👩‍👧", "你好": "你好，我在。🇨🇳", "again": "twice"}


def learnt() -> list[Conversation]:
    """Each question alone, the second after the first, and one under a system prompt."""
    first, second, third = (
        (text_message("user", asked), text_message("assistant", said)) for asked, said in KNOWN.items()
    )
    pirate = (text_message("system", "pirate"), text_message("user", "hi"), text_message("assistant", "Arr"))
    return [Conversation(messages) for messages in (first, second, third, (*first, *second), pirate)]


@pytest.fixture(scope="session")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assistant")
    base = save_base(folder / "base")
    tokenizer = byte_tokenizer()
    renderer = Renderer(load_template("chatml"), tokenizer)
    rendered = list(renderer.render(learnt()))
    examples = [example for item in rendered if isinstance(item, Rendered) for example in item.examples]
    tokenizer.chat_template = renderer.chat_template
    budget = Budget(epochs=150, batch_size=5, lr=1e-2, precision="fp32", checkpoint_every=10**6)
    job = Job(
        model=load_model(str(base)),
        tokenizer=tokenizer,
        examples=examples,
        stage=Tune(base=str(base), tune=budget),
        inputs={},
        stop_ids=renderer.stop_ids,
    )
    return tune(job, folder / "model").path
