"""Requests and answers of OpenAI's interface, as far as they are supported; the OpenAPI description is made from them.

What would change an answer and is not supported may be given only with the value that changes nothing.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(max_length=1_000_000)]
Name = Annotated[str, StringConstraints(max_length=256)]
Ids = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
Biases = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]],
    Field(max_length=1024),
]
Stops = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=256)]], Field(max_length=16)]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Reply(BaseModel):
    pass


class TextPart(Request):
    type: Literal["text"]
    text: Text


class FunctionCall(Request):
    name: Name
    arguments: Text = Field(description="A JSON object, written as a string.")


class Call(Request):
    id: Name
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(Request):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[TextPart] | None = None
    name: Name | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: Name | None = None
    reasoning_content: Text | None = None
    refusal: None = None


class Function(Request):
    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    description: Text | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = Field(default=None, description="Calls of all tools are held to their parameters.")


class Tool(Request):
    type: Literal["function"]
    function: Function


class StreamOptions(Request):
    include_usage: bool = False


class PlainText(Request):
    type: Literal["text"]


class AnyJson(Request):
    type: Literal["json_object"]


class NamedSchema(Request):
    name: Name
    description: Text | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = Field(default=None, description="The answer is always held to the schema.")


class SchemaJson(Request):
    type: Literal["json_schema"]
    json_schema: NamedSchema


class ToolName(Request):
    name: Name


class NamedTool(Request):
    type: Literal["function"]
    function: ToolName


class Sampled(Request):
    """What chat and completions have in common."""

    model: Name
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, description="0 takes the likeliest token. Default 1.")
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Annotated[str, StringConstraints(min_length=1, max_length=256)] | Stops | None = None
    n: int | None = Field(default=None, ge=1, le=16)
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Biases | None = Field(default=None, description="Token ids, and what is added to their logits.")
    user: Name | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


class ChatRequest(Sampled):
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = Field(default=None, description="false: at most one call.")
    response_format: PlainText | AnyJson | SchemaJson | None = None
    metadata: dict[str, Any] | None = None
    store: Literal[False] | None = None


class CompletionRequest(Sampled):
    prompt: (
        Text
        | Ids
        | Annotated[list[Text], Field(min_length=1, max_length=64)]
        | Annotated[list[Ids], Field(min_length=1, max_length=64)]
    )
    max_tokens: int | None = Field(default=None, ge=0, description="Default 16, as OpenAI has it.")
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool | None = None
    best_of: Literal[1] | None = None
    suffix: Literal[""] | None = None


class EmbeddingRequest(Request):
    model: Name
    input: (
        Text
        | Ids
        | Annotated[list[Text], Field(min_length=1, max_length=64)]
        | Annotated[list[Ids], Field(min_length=1, max_length=64)]
    )
    encoding_format: Literal["float", "base64"] = "float"
    user: Name | None = None


class Usage(Reply):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TopLogprob(Reply):
    token: str
    logprob: float
    bytes: list[int] | None = Field(description="null where they cannot be known.")


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(Reply):
    content: list[TokenLogprob]


class CallReply(Reply):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Answer(Reply):
    role: Literal["assistant"] = "assistant"
    content: str | None
    tool_calls: list[CallReply] | None = None


class ChatChoice(Reply):
    index: int
    message: Answer
    logprobs: ChatLogprobs | None = None
    finish_reason: Literal["stop", "length", "tool_calls"]


class ChatReply(Reply):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class CompletionLogprobs(Reply):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(Reply):
    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Literal["stop", "length"]


class CompletionReply(Reply):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class Embedding(Reply):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Reply):
    prompt_tokens: int
    total_tokens: int


class EmbeddingReply(Reply):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class ModelCard(Reply):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["tunesmith"] = "tunesmith"


class ModelList(Reply):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class ModelFacts(Reply):
    """What the chat page asks about a model."""

    id: str
    engine: str
    context: int = Field(description="Prompt and answer together, in tokens.")
    system: bool = Field(description="Whether its template takes a system prompt.")
    chat: bool = Field(description="Whether it has a chat template at all.")
    tools: bool = Field(description="Whether its template takes tools, and calls can be read back.")


class RatedAnswer(Request):
    model: Name
    answer: Text


class RatedMessage(Request):
    role: Literal["system", "user", "assistant", "tool"]
    content: Text


class Rating(Request):
    """Two answers to one prompt, and which is better."""

    messages: Annotated[list[RatedMessage], Field(min_length=1)]
    a: RatedAnswer
    b: RatedAnswer
    choice: Literal["a", "b", "tie", "both_bad"]


class Kept(Reply):
    kept: Literal[True] = True


class Health(Reply):
    status: Literal["ok", "draining", "failed"]


class Fault(Reply):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class Error(Reply):
    error: Fault
