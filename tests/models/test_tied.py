"""A tied embedding that adds to .grad by hand: the gradient that autograd finds."""

import pytest
import torch

from tests.toys import tiny_model
from tunesmith.models.tied import add_in_place

ROWS = torch.tensor([[5, 6, 5, 7, 0], [9, 6, 0, 5, 5]])


def gradient(model: torch.nn.Module) -> torch.Tensor:
    model.zero_grad(set_to_none=True)
    for row in ROWS:  # twice, as for micro-batches
        model(input_ids=row[None], labels=row[None]).loss.backward()
    found = model.get_output_embeddings().weight.grad
    return torch.as_tensor(found).clone()


@pytest.mark.parametrize("padding", [None, 6])
def test_the_gradient_of_a_tied_embedding_is_that_of_autograd(padding: int | None) -> None:
    model = tiny_model("llama", tie_word_embeddings=True).eval()
    model.get_input_embeddings().padding_idx = padding
    wanted = gradient(model)
    add_in_place(model)
    torch.testing.assert_close(gradient(model), wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("tied", [True, False])
def test_only_a_tied_embedding_is_cut_off_from_the_graph(tied: bool) -> None:
    model = tiny_model("llama", tie_word_embeddings=tied)
    add_in_place(model)
    looked_up = model.get_input_embeddings()(ROWS)
    assert looked_up.requires_grad
    assert (looked_up.grad_fn is None) == tied
