"""Requests that the OpenAPI description allows, and some that it forbids: every answer is one that it describes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.serve.conftest import LIMITS, Site, serving, until
from tunesmith.serve.house import House, Served

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def fuzzed(models: dict[str, Served]) -> Iterator[Site]:
    with serving(House(models, replace(LIMITS, context=24, seconds=2, body=100_000_000))) as made:
        yield made


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_every_answer_is_one_that_the_description_knows(fuzzed: Site, mode: object) -> None:
    described = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")
    seen: dict[str, int] = {}
    for found in described.get_all_operations():
        operation = found.ok()
        if mode is schemathesis.GenerationMode.NEGATIVE and not operation.body:
            continue  # nothing that could be wrong

        @QUICK
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: schemathesis.Case) -> None:
            if mode is schemathesis.GenerationMode.POSITIVE and isinstance(case.body, dict) and "model" in case.body:
                case.body["model"] = "model"  # else they all ask for a model that is not there
            answer = case.call(base_url=fuzzed.url, timeout=60)
            case.validate_response(answer, checks=CHECKS)
            seen[case.path] = seen.get(case.path, 0) + (answer.status_code < 400)

        holds()
    assert len(seen) == (4 if mode is schemathesis.GenerationMode.NEGATIVE else 10)
    until(lambda: fuzzed.house.busy == 0)
    assert fuzzed.house.alive()
