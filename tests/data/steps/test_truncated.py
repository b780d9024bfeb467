"""An answer that stops in the middle is told from one that needs no mark at its end."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.truncated import Truncated

WHOLE = "The river rises in the hills and flows to the sea. It is long, and many towns lie on it."
CHINESE = "这条河发源于山中，流入大海。它很长，沿岸有许多城镇，人们在那里生活和劳作。"
CUT = "cut off in a sentence"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (WHOLE + " Every spring its", CUT),
        (WHOLE + " Every spring people swim", CUT),
        (WHOLE + "\n\nEvery spring, when the snow melts, the people from all the towns swim", CUT),
        (WHOLE + " In spring,", CUT),
        (CHINESE + "每年春天人们", CUT),
        (CHINESE + "例如，", CUT),
        ("Here:\n```python\nprint(1)", "code block not closed"),
        (WHOLE, None),
        (CHINESE, None),
        (WHOLE + " #river #sea", None),
        (WHOLE + "\n\nSincerely,\nJohn Smith", None),
        (WHOLE + '" - Thomas A. Edison', None),
        (WHOLE + ' Go and see it" - Steve Jobs', None),
        (WHOLE + "\nAnswer: D. The sea and the hills", None),
        (WHOLE + "\n- rivers\n- towns", None),
        (WHOLE + " So 3 x 4 = 12", None),
        ("I chose to go because", None),
        ("Roses are red and\nviolets are blue and\nsugar is sweet,\nand so are you, my dear, so are you", None),
        ("def f(x):\n    # Adds one. Returns it. Then the\n    return x + 1; # and the rest of the", None),
        ("Paris", None),
        ("```python\nprint(1)\n```", None),
    ],
)
def test_why(answer, reason):
    _, rejects = run(Truncated(), [talk("q", answer)])
    assert [reject.reason for _, reject in rejects] == ([reason] if reason else [])


def test_alpaca(alpaca):
    assert run(Truncated(), alpaca)[1] == []
