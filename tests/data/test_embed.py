"""What is alike lies near, in Chinese too; a text's point hangs on the text alone."""

import numpy as np
import pytest
from transformers import BertConfig, BertModel

from tests.toys import byte_tokenizer
from tunesmith.data.embed import DIMENSIONS, embed
from tunesmith.errors import UserError

TEXTS = [
    "Write a short poem about the sea.",
    "Write a short poem about the seaside, please.",
    "How many legs does a spider have?",
    "请写一首关于大海的诗",
    "请你写一首关于海边的诗",
    "蜘蛛有几条腿？",
]


def test_texts_that_are_alike_lie_nearer():
    points = embed(TEXTS)
    assert points.dtype == np.float32
    assert points.shape == (6, DIMENSIONS)
    near = points @ points.T
    assert np.allclose(np.diag(near), 1)
    for one, other, apart in ((0, 1, 2), (3, 4, 5)):
        assert near[one, other] > 0.5
        assert near[one, apart] < 0.25


def test_a_text_lies_where_it_lies_alone():
    together = embed([*TEXTS, "", " \n", "诗", "x"])
    alone = np.concatenate([embed([text]) for text in [*TEXTS, "", " \n", "诗", "x"]])
    assert together.tobytes() == alone.tobytes()
    assert np.linalg.norm(together, axis=1).tolist() == pytest.approx([1] * 6 + [0, 0, 1, 1])
    assert embed([]).shape == (0, DIMENSIONS)


def test_angles_survive_the_projection():
    """The angle between counts of n-grams, to the precision of 512 axes."""
    texts = [" ".join(f"word{n * k % 97}" for n in range(60)) for k in (1, 2, 3, 5)]
    found, exact = embed(texts) @ embed(texts).T, cosines(texts)
    assert np.abs(found - exact).max() < 4 / np.sqrt(DIMENSIONS)


def cosines(texts):
    counts = []
    for text in texts:
        marked = f"\0{text}\0"
        grams = [marked[i : i + n] for n in (2, 3) for i in range(len(marked) - n + 1)]
        counts.append({gram: np.sqrt(grams.count(gram)) for gram in set(grams)})
    dots = [[sum(a[gram] * b.get(gram, 0) for gram in a) for b in counts] for a in counts]
    lengths = np.sqrt(np.diag(dots))
    return dots / np.outer(lengths, lengths)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=256, **shape), add_pooling_layer=False).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return str(folder)


def test_an_encoder_gives_the_mean_of_its_last_layer(encoder):
    import torch

    model = BertModel.from_pretrained(encoder, add_pooling_layer=False).eval()
    ids = torch.tensor([byte_tokenizer().encode("abc")])
    with torch.no_grad():
        mean = model(ids).last_hidden_state[0].mean(0).numpy()
    found = embed(["abc", "something longer"], encoder)
    assert found[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert found[:1].tobytes() == embed(["abc"], encoder).tobytes()


def test_an_encoder_that_is_not_there_is_the_users_to_mend(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        embed(["x"], str(tmp_path))
