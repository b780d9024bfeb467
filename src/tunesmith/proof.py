"""A proof is a named check that ran: what was measured, against which limit, with which verdict."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.errors import ProofError


@dataclass(frozen=True, slots=True)
class Proof:
    """`checked` counts what was looked at (rows, answers, tensors); `detail` is one sentence for a person."""

    name: str
    passed: bool
    checked: int
    detail: str
    measured: float | None = None
    limit: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def require(proofs: Iterable[Proof], cure: str) -> None:
    """Raise ProofError, naming every failed proof, unless all passed."""
    failed = [proof for proof in proofs if not proof.passed]
    if failed:
        raise ProofError("; ".join(f"{proof.name}: {proof.detail}" for proof in failed), cure)
