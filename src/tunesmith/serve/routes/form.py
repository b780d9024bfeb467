"""What an answer must look like: JSON, the call of a tool, or either."""

from typing import Any

from tunesmith.serve.engines.shape import Form
from tunesmith.serve.grammar import ANY_OBJECT, Schema, grammar_of
from tunesmith.serve.house import Served
from tunesmith.serve.limits import ApiError
from tunesmith.serve.schema import AnyJson, ChatRequest, NamedTool, SchemaJson
from tunesmith.serve.tools import ToolForm


def tools_of(request: ChatRequest) -> list[dict[str, Any]]:
    """The tools as a template writes them; `strict` is for us."""
    return [tool.model_dump(exclude_none=True, exclude={"function": {"strict"}}) for tool in request.tools or ()]


def must_call(request: ChatRequest) -> bool:
    return request.tool_choice not in (None, "none", "auto")


def form_of_calls(served: Served, request: ChatRequest) -> ToolForm | None:
    """How tools are called; None where there are none to call."""
    if must_call(request) and not request.tools:
        raise ApiError(400, "tool_choice asks for a tool, and there are no tools", "tool_choice")
    if not request.tools or request.tool_choice == "none":
        return None
    form = served.tongue.form
    if form is None:
        raise ApiError(400, f"the template of {served.id} has no tool calls that can be read back", "tools")
    return form


def form_of_answer(served: Served, request: ChatRequest, calls: ToolForm | None) -> Form | None:
    """What holds the answer; None where it is free. Where JSON is asked for and tools are there, either may come."""
    schema = None if must_call(request) else schema_of(request)
    one = request.parallel_tool_calls is False
    fields = {
        "response_format": schema is not None,
        "tool_choice": must_call(request),
        "parallel_tool_calls": calls is not None and one,
        "tools": calls is not None and any(tool.function.strict for tool in request.tools or ()),
    }
    asking = next((name for name, asks in fields.items() if asks), None)
    if asking is None:
        return None
    served.need_logits(asking)
    free = schema is None and not must_call(request)
    try:
        return served.tongue.grammars.form(grammar_of(schema, calls, callable_tools(request), free, one))
    except ValueError as error:
        raise ApiError(400, str(error), "tools" if schema is None else "response_format") from error


def schema_of(request: ChatRequest) -> Schema | None:
    asked = request.response_format
    if isinstance(asked, SchemaJson):
        return asked.json_schema.schema_ or ANY_OBJECT
    return ANY_OBJECT if isinstance(asked, AnyJson) else None


def callable_tools(request: ChatRequest) -> list[dict[str, Any]]:
    """All, or the one that was named."""
    choice = request.tool_choice
    if not isinstance(choice, NamedTool):
        return tools_of(request)
    found = [tool for tool in tools_of(request) if tool["function"]["name"] == choice.function.name]
    if not found:
        raise ApiError(400, f"there is no tool {choice.function.name!r}", "tool_choice")
    return found
