"""What the server allows, and how it says no."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """
    context   longest prompt and answer together, in tokens; 0: what the model has positions for, at most 4096
    parallel  answers that a model computes at once
    queue     answers that wait or run, over all models; more are sent away
    seconds   longest time that an answer takes, from the moment it is asked for
    body      largest request, in bytes
    patience  seconds that a client may take to send its request, or to take a piece of an answer
    drain     seconds that running answers have to end when the server is told to stop
    """

    context: int = 0
    parallel: int = 8
    queue: int = 64
    seconds: float = 300.0
    body: int = 1_000_000
    patience: float = 30.0
    drain: float = 30.0


class ApiError(Exception):
    """A request that gets an error in OpenAI's form. `param` names the field that is wrong."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None, retry: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.retry = status, message, param, code, retry

    def body(self) -> dict[str, object]:
        return {"error": {"message": self.message, "type": kind(self.status), "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        return {} if self.retry is None else {"retry-after": str(self.retry)}


def kind(status: int) -> str:
    """The name that OpenAI gives to this kind of error."""
    names = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    return names.get(status, "server_error" if status >= 500 else "invalid_request_error")
