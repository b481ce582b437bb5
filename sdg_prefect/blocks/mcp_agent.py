"""Let a model work with the tools of a server, in as many rounds as it needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sdg_prefect.blocks.conversation import as_messages, plain_tool_calls, trace_message_type, without_nulls
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion, reject_failure
from sdg_prefect.blocks.llm_chat import ServedModel
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.secrets import Headers
from sdg_prefect.blocks.wired import OneName
from sdg_prefect.models.completion import Choice, Completion, Failure, Request
from sdg_prefect.models.connections import named_url
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.rows import ids_of, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


_NO_JSON = '{"error": "The arguments are no JSON object, so the tool was not called."}'
"""The result of a call whose arguments cannot be read."""


@dataclass(slots=True)
class Talk:
    """What was said about one row so far."""

    place: int
    row_id: str
    messages: list[dict[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    rounds: int = 0
    is_over: bool = False
    """True if the model has answered."""
    calls: int = 0
    """How many tools were called."""
    waiting: Sequence[Mapping[str, Any]] = ()
    """Calls of tools that the model wants answered."""


@block("MCPAgentBlock")
class MCPAgentBlock(ServedModel):
    """Ask a model about each row and let it call the tools of an MCP server until it has an answer.

    The reply holds the whole conversation under ``messages``, the number of ``iterations``, and ``max_iterations_reached``. All
    rows of a shard go through a round together. Results of tools are kept like replies of models, so that a run that goes on
    calls no tool again for what it knows. A row whose model or server fails for good is rejected; what a tool says about a
    failure of its own is told to the model, as is that the arguments of a call are no JSON. Needs the extra ``mcp``.
    """

    packages: ClassVar[Mapping[str, str]] = {"mcp": "mcp"}
    family: ClassVar[str] = "Ask a model"
    example: ClassVar[Example] = Example(
        config={
            "input_cols": "question",
            "output_cols": "trace",
            "model": "teacher",
            "mcp_server_url": "http://localhost:8000/mcp",
        },
        rows=[{"question": "Who dances?"}],
    )

    input_cols: OneName
    """The one column with what is asked: a text, or the messages of a conversation that goes on."""
    output_cols: OneName
    """The one column that gets the conversation."""
    mcp_server_url: str = Field(min_length=1)
    """Address of the server of tools, which speaks streamable HTTP."""
    mcp_headers: Headers | None = None
    """Headers for it; ``${NAME}`` is filled from the environment."""
    max_iterations: int = Field(default=10, ge=1)
    """Rounds at most: a model that still wants tools then has the row end without an answer."""
    system_prompt: str | None = None
    """System message before the question."""
    temperature: float | None = None
    """0 for the likeliest reply, more for variety."""
    max_tokens: int | None = None
    """Most tokens of a reply."""

    @property
    def _tools_id(self) -> str:
        return f"mcp@{named_url(self.mcp_server_url)}"

    def reads(self) -> Iterable[str]:
        return self.input_cols

    def writes(self) -> Iterable[str]:
        return self.output_cols

    def model_ids(self) -> Iterable[str]:
        return (self.model_id, self._tools_id)

    def own_endpoints(self) -> Mapping[str, Endpoint]:
        params = {"headers": dict(self.mcp_headers)} if self.mcp_headers else {}
        tools = Endpoint(model=self._tools_id, api_base=self.mcp_server_url, client="mcp", params=params)
        return {**super().own_endpoints(), self._tools_id: tools}

    def calls_range(self) -> tuple[int, int, int | None]:
        return 1, min(2, self.max_iterations), self.max_iterations

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Talk, round by round."""
        table = to_table(rows)
        talks = self._begun(table, context)
        active = self._with_tools(talks, context)
        while active:
            active = self._answered(self._asked(active, context), context)
        expansion = Expansion(self.output_cols)
        for talk in talks:
            if talk.rounds:
                expansion.add(talk.place, [_trace(talk)])
        return to_dataset(expansion.table(table, _trace_type()))

    def key_parts(self, models: Mapping[str, str]) -> dict[str, Any]:
        return {name: value for name, value in super().key_parts(models).items() if name != "mcp_headers"}

    def _begun(self, table: pa.Table, context: Context) -> list[Talk]:
        (column,) = self.input_cols
        system = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        talks = []
        for place, (row_id, question) in enumerate(zip(ids_of(table), table.column(column).to_pylist(), strict=True)):
            asked = as_messages(without_nulls(question)) if question not in (None, "") else []
            if not asked:
                context.reject(place, "BadMessages", f"column '{column}' holds nothing to ask.")
            else:
                talks.append(Talk(place, row_id, [*system, *asked]))
        return talks

    def _with_tools(self, talks: list[Talk], context: Context) -> list[Talk]:
        """Look what tools there are: for each row, in its session, so that a row depends on no other."""
        requests = [Request(self._tools_id, talk.row_id, messages=[], params={"list_tools": True}) for talk in talks]
        ready = []
        for talk, answer in zip(talks, context.complete(requests), strict=True):
            if isinstance(answer, Failure):
                reject_failure(context, talk.place, answer)
            else:
                talk.tools = json.loads(answer.choices[0].text or "[]")
                ready.append(talk)
        return ready

    def _asked(self, talks: list[Talk], context: Context) -> list[Talk]:
        """Ask the model once for each talk, and return those in which it wants tools."""
        wanted = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        params = {name: value for name, value in wanted.items() if value is not None}
        requests = [
            Request(
                self.model_id,
                talk.row_id,
                messages=[dict(message) for message in talk.messages],
                params={**params, **({"tools": talk.tools} if talk.tools else {})},
            )
            for talk in talks
        ]
        going_on = []
        for talk, answer in zip(talks, context.complete(requests), strict=True):
            if isinstance(answer, Failure):
                talk.rounds = 0
                reject_failure(context, talk.place, answer)
                continue
            talk.rounds += 1
            _note_reply(talk, answer)
            if talk.waiting:
                going_on.append(talk)
        return going_on

    def _answered(self, talks: list[Talk], context: Context) -> list[Talk]:
        """Call the tools that are wanted, and return the talks that have another round."""
        jobs: list[tuple[Talk, Mapping[str, Any], Request | None]] = []
        for talk in talks:
            for call in talk.waiting:
                jobs.append((talk, call, self._request(talk, call)))
                talk.calls += 1
        answers = iter(context.complete([request for _, _, request in jobs if request is not None]))
        failed: set[int] = set()
        for talk, call, request in jobs:
            answer = next(answers) if request is not None else None
            if isinstance(answer, Failure):
                if talk.place not in failed:
                    reject_failure(context, talk.place, answer)
                failed.add(talk.place)
                talk.rounds = 0
            else:
                said = _NO_JSON if answer is None else answer.choices[0].text or ""
                talk.messages.append({"role": "tool", "tool_call_id": call["id"], "content": said})
        return [talk for talk in talks if talk.place not in failed and talk.rounds < self.max_iterations]

    def _request(self, talk: Talk, call: Mapping[str, Any]) -> Request | None:
        """Return the request that calls a tool; None where the model wrote arguments that are no JSON object."""
        arguments = _arguments(call)
        if arguments is None:
            return None
        params = {"tool": call["function"]["name"], "arguments": arguments}
        return Request(self._tools_id, talk.row_id, messages=[], params=params, sample=talk.calls)


def _note_reply(talk: Talk, answer: Completion) -> None:
    said = answer.choices[0] if answer.choices else Choice("")
    talk.waiting = plain_tool_calls(said.tool_calls) or ()
    talk.is_over = not talk.waiting
    message: dict[str, Any] = {"role": "assistant", "content": said.text}
    # A model that thinks between calls of tools wants to read what it thought.
    thought = {"reasoning_content": said.reasoning} if said.reasoning else {}
    talk.messages.append({**message, **thought, **({"tool_calls": talk.waiting} if talk.waiting else {})})


def _arguments(call: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the arguments of a call, none where the model wrote nothing or null; None where it wrote no JSON object."""
    try:
        arguments = json.loads(call["function"]["arguments"].strip() or "{}")
    except (ValueError, RecursionError):
        return None
    if arguments is None:
        return {}
    return arguments if isinstance(arguments, dict) else None


def _trace(talk: Talk) -> dict[str, Any]:
    return {"messages": talk.messages, "iterations": talk.rounds, "max_iterations_reached": not talk.is_over}


def _trace_type() -> pa.DataType:
    import pyarrow as pa

    messages = ("messages", pa.list_(trace_message_type()))
    return pa.struct([messages, ("iterations", pa.int64()), ("max_iterations_reached", pa.bool_())])
