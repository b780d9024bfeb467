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
    handles = add_in_place(model)
    assert len(handles) == 1
    torch.testing.assert_close(gradient(model), wanted, rtol=1e-5, atol=1e-7)


def test_an_embedding_of_its_own_is_left_alone() -> None:
    assert add_in_place(tiny_model("llama", tie_word_embeddings=False)) == []
