"""A portion reads as it was written."""

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.batch import Example
from tunesmith.data.portion import Portion, from_bytes, merge, to_bytes
from tunesmith.proof import Proof
from tunesmith.records import Origin, Refusal
from tunesmith.tune.feed import conversation_hashes

tokens = st.lists(st.tuples(st.integers(0, 2**31 - 1), st.sampled_from([0.0, 1.0, 0.3, 0.1 + 0.2])), max_size=20)
origins = st.sampled_from([Origin("a.json", 1), Origin("a.json", 1), Origin("b 中.json", 2, 3), Origin()])
examples = st.builds(
    lambda pairs, origin, prompt: Example(
        tuple(i for i, _ in pairs), tuple(w for _, w in pairs), origin, tuple(i for i, _ in prompt)
    ),
    tokens,
    origins,
    tokens,
)
texts = st.text(st.characters(codec=None))  # half surrogates, too
refusals = st.builds(Refusal, origins, texts, texts, texts, texts)
proofs = st.builds(Proof, st.sampled_from("ABC"), st.booleans(), st.integers(0), texts, st.integers(0), st.just(0))
numbers = st.integers(0, 10**12)
portions = st.builds(
    Portion,
    st.lists(examples),
    st.lists(refusals),
    st.lists(proofs),
    numbers,
    numbers,
    numbers,
    numbers,
    st.sampled_from([(), (True,), (False, True), (True, False)]),
)


@given(portions)
def test_a_portion_comes_back_whole(portion):
    back = from_bytes(to_bytes(portion))
    assert back == portion
    assert [type(weight) for example in back.examples for weight in example.weights] == [
        float for example in back.examples for _ in example.weights
    ]


@given(st.lists(examples, max_size=12))
def test_conversations_stay_apart_and_together(made):
    """Equal places are not enough: examples of one conversation hold the very same Origin."""
    back = from_bytes(to_bytes(Portion(made))).examples
    assert conversation_hashes(back) == conversation_hashes(made)


def test_portions_merge_into_one_account():
    good, bad, worse = (
        Proof("R1", True, 5, "fine", 0, 0),
        Proof("R1", False, 3, "row 6", 1, 0),
        Proof("R1", False, 2, "row 9", 2, 0),
    )
    other = Proof("R2", True, 1, "as well", 0, 0)
    whole = merge([Portion(proofs=[good, other], read=6), Portion(proofs=[bad], read=3), Portion(proofs=[worse])])
    assert whole.read == 9
    assert whole.proofs == [Proof("R1", False, 10, "row 6", 3, 0), other]
