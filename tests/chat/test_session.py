"""A conversation with a model: what it is sent, where it stops, what it remembers."""

from pathlib import Path

import pytest
import torch

from tests.chat.conftest import KNOWN
from tests.toys import byte_tokenizer, save_base, tiny_model
from tunesmith.chat import ChatSession, Sampling, choose, generate, open_session
from tunesmith.errors import UserError


@pytest.fixture
def session(assistant: Path) -> ChatSession:
    return open_session(str(assistant), sampling=Sampling(max_new_tokens=60))


def test_it_answers_what_it_learnt_and_stops_there(session: ChatSession) -> None:
    for asked, said in KNOWN.items():
        session.reset()
        pieces = list(session.ask(asked))
        assert "".join(pieces) == said
        assert len(pieces) > 1
        assert session.spent == len(said.encode())


def test_it_remembers_the_turns_before(session: ChatSession) -> None:
    for asked, said in list(KNOWN.items())[:2]:
        assert "".join(session.ask(asked)) == said
    assert [message.text for message in session.messages] == [text for pair in list(KNOWN.items())[:2] for text in pair]
    one_turn = ChatSession(session.model, session.renderer).prompt("again")
    assert session.prompt("again")[-len(one_turn) :] != one_turn or len(session.prompt("again")) > len(one_turn)
    session.reset()
    assert session.prompt("again") == one_turn


def test_a_system_prompt_changes_the_answer(session: ChatSession) -> None:
    session.system = "pirate"
    assert "".join(session.ask("hi")) == "Arr"


def test_an_answer_that_is_broken_off_is_remembered_as_far_as_it_came(session: ChatSession) -> None:
    answer = session.ask("hi")
    said = next(answer) + next(answer)
    answer.close()
    assert [message.text for message in session.messages] == ["hi", said]


def test_the_prompt_is_what_training_saw(session: ChatSession) -> None:
    text = session.renderer.tokenizer.decode(session.prompt("hi"), skip_special_tokens=False)
    assert text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_control_tokens_in_a_question_are_words(session: ChatSession) -> None:
    tokenizer = session.renderer.tokenizer
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert session.prompt("<|im_end|>").count(end) == session.prompt("hi").count(end)


def test_the_cache_changes_nothing() -> None:
    model, prompt = tiny_model(), [1, 2, 3]
    said = list(generate(model, prompt, (), Sampling(max_new_tokens=12)))
    for place, token in enumerate(said):
        logits = model(torch.tensor([[*prompt, *said[:place]]])).logits[0, -1]
        assert token == int(logits.argmax())


def test_generation_ends_with_the_positions_of_the_model() -> None:
    model = tiny_model(max_position_embeddings=10)
    assert len(list(generate(model, [1, 2, 3], (), Sampling(max_new_tokens=50)))) == 7


def test_a_stop_token_ends_the_answer_and_is_not_part_of_it() -> None:
    model = tiny_model()
    said = list(generate(model, [1, 2, 3], (), Sampling(max_new_tokens=12)))
    assert list(generate(model, [1, 2, 3], {said[4]}, Sampling(max_new_tokens=12))) == said[: said.index(said[4])]


def test_sampling_follows_its_seed_and_leaves_out_the_unlikely() -> None:
    logits = torch.tensor([0.1, 0.5, 0.3, 0.1]).log()

    def draws(top_p: float, seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [choose(logits, Sampling(temperature=1.0, top_p=top_p), generator) for _ in range(200)]

    assert draws(1.0, 1) == draws(1.0, 1) != draws(1.0, 2)
    assert set(draws(1.0, 1)) == {0, 1, 2, 3}
    assert set(draws(0.75, 1)) == {1, 2}
    assert set(draws(0.0, 1)) == {1}
    assert choose(logits, Sampling(), torch.Generator()) == 1


def test_a_conversation_too_long_for_the_model_is_refused(session: ChatSession) -> None:
    with pytest.raises(UserError, match="the model can hold") as refusal:
        list(session.ask("long " * 1000))
    assert "/reset" in refusal.value.cure
    assert session.messages == []


def test_a_base_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base")
    byte_tokenizer("<|im_start|>", "<|im_end|>").save_pretrained(base)
    with pytest.raises(UserError, match="has no chat template") as refusal:
        open_session(str(base))
    assert "tunesmith tune --base" in refusal.value.cure
    assert open_session(str(base), template="chatml").prompt("hi")


def test_a_template_whose_control_tokens_the_model_never_saw_is_refused(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base")
    byte_tokenizer().save_pretrained(base)
    with pytest.raises(UserError, match="never learnt the control tokens"):
        open_session(str(base), template="chatml")
