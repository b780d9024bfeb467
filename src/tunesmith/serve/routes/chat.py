"""POST /v1/chat/completions."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from tunesmith.errors import UserError
from tunesmith.records import Message, Part, Role, ToolCall, text_message
from tunesmith.serve.answering import Piece, Whole, Wish, answers, asks_for, wholes
from tunesmith.serve.engines.base import Step
from tunesmith.serve.engines.shape import Form
from tunesmith.serve.house import House, Served
from tunesmith.serve.limits import ApiError
from tunesmith.serve.routes.common import (
    ASKING,
    STREAMED,
    Leave,
    TheHouse,
    events,
    head,
    refuse_options_without_stream,
    usage,
)
from tunesmith.serve.routes.form import form_of_answer, form_of_calls, tools_of
from tunesmith.serve.schema import (
    Answer,
    Call,
    CallReply,
    ChatChoice,
    ChatLogprobs,
    ChatMessage,
    ChatReply,
    ChatRequest,
    FunctionCall,
    TokenLogprob,
    TopLogprob,
)
from tunesmith.serve.tongue import Tongue, spelled
from tunesmith.serve.tools import ToolForm

router = APIRouter()
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


@router.post("/v1/chat/completions", response_model=ChatReply, responses=ASKING | STREAMED)
async def chat_completions(request: ChatRequest, house: TheHouse, leave: Leave) -> ChatReply | Response:
    """The next message of a conversation."""
    refuse_options_without_stream(request)
    served = house.model(request.model)
    if not served.tongue.chats:
        raise ApiError(400, f"{served.id} has no chat template; use /v1/completions", "model")
    calls = form_of_calls(served, request)
    form = await asyncio.to_thread(form_of_answer, served, request, calls)  # a grammar of many rules takes its time
    wish = wished(served, request, calls, form)
    leave.enter_context(house.place(len(wish.asks)))
    if request.stream:
        return events(chunks(house, served, wish, request), leave)
    found = await wholes(house, served, wish)
    return ChatReply(
        **head("chat.completion", served.id),
        choices=[choice(number, whole, served.tongue, request) for number, whole in enumerate(found)],
        usage=usage(len(wish.asks[0].ids), sum(len(whole.steps) for whole in found)),
    )


def wished(served: Served, request: ChatRequest, calls: ToolForm | None, form: Form | None) -> Wish:
    """What is asked of the engine. Raises ApiError for all that cannot be met."""
    if request.top_logprobs and not request.logprobs:
        raise ApiError(400, "top_logprobs needs logprobs=true", "top_logprobs")
    try:
        ids = served.tongue.prompt(messages_of(request.messages), tools_of(request) if calls else ())
    except UserError as error:
        raise ApiError(400, error.message, "messages") from error
    most = request.max_completion_tokens or request.max_tokens
    top = (request.top_logprobs or 0) if request.logprobs else None
    return Wish(asks_for(served, ids, request, most, top, form), request.stops, calls)


def messages_of(given: Sequence[ChatMessage]) -> list[Message]:
    return [message_of(message, f"messages[{number}]") for number, message in enumerate(given)]


def message_of(given: ChatMessage, field: str) -> Message:
    if given.content is None and not given.tool_calls:
        raise ApiError(400, f"{field} has no content", f"{field}.content")
    content = given.content or ""
    texts = [content] if isinstance(content, str) else [part.text for part in content]
    parts = tuple(Part(text=text) for text in texts if text)
    calls = tuple(call_of(call, field) for call in given.tool_calls or ())
    thinking, name, answered = given.reasoning_content or "", given.name or "", given.tool_call_id or ""
    if calls or thinking or answered:
        return Message(ROLES[given.role], parts, thinking, calls, name, call_id=answered)
    return Message(ROLES[given.role], parts or text_message("user", "").parts, name=name)


def call_of(call: Call, field: str) -> ToolCall:
    try:
        arguments = json.loads(call.function.arguments)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise ApiError(400, f"{field}: the arguments of {call.function.name!r} are no JSON object", field)
    return ToolCall(call.function.name, arguments, call.id)


def choice(number: int, whole: Whole, tongue: Tongue, request: ChatRequest) -> ChatChoice:
    calls = [written(call) for call in whole.calls] or None
    return ChatChoice(
        index=number,
        message=Answer(content=None if calls and not whole.text.strip() else whole.text, tool_calls=calls),
        logprobs=logprobs(whole.steps, tongue) if request.logprobs else None,
        finish_reason=whole.reason,
    )


def written(call: ToolCall) -> CallReply:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return CallReply(id=call.id, function=FunctionCall(name=call.name, arguments=arguments))


def logprobs(steps: Sequence[Step], tongue: Tongue) -> ChatLogprobs:
    return ChatLogprobs(
        content=[
            TokenLogprob(
                **dict(told(step.token, step.logprob, tongue)),
                top_logprobs=[told(token, value, tongue) for token, value in step.top],
            )
            for step in steps
        ]
    )


def told(token: int, logprob: float, tongue: Tongue) -> TopLogprob:
    text, raw = spelled(tongue, token)
    return TopLogprob(token=text, logprob=logprob, bytes=None if raw is None else list(raw))


async def chunks(
    house: House, served: Served, wish: Wish, request: ChatRequest
) -> AsyncGenerator[dict[str, Any], None]:
    """The stream: a role for each answer, then its words, then why it ended; the usage last, if it is wanted."""
    begun = head("chat.completion.chunk", served.id)
    wants_usage = request.stream_options is not None and request.stream_options.include_usage
    rest = {"usage": None} if wants_usage else {}
    said = 0
    for number in range(len(wish.asks)):
        yield begun | {"choices": [delta(number, {"role": "assistant", "content": ""})]} | rest
    async for number, piece in answers(house, served, wish):
        said += len(piece.steps)
        made = delta(number, change(piece), piece.reason)
        if request.logprobs:
            made["logprobs"] = logprobs(piece.steps, served.tongue).model_dump()
        yield begun | {"choices": [made]} | rest
    if wants_usage:
        yield begun | {"choices": [], "usage": usage(len(wish.asks[0].ids), said).model_dump()}


def change(piece: Piece) -> dict[str, Any]:
    made: dict[str, Any] = {"content": piece.text} if piece.text else {}
    if piece.calls:
        made["tool_calls"] = [written(call).model_dump() | {"index": number} for number, call in enumerate(piece.calls)]
    return made


def delta(number: int, change: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": number, "delta": change, "logprobs": None, "finish_reason": reason}
