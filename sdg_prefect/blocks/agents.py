"""Ask agents that are served over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.conversation import agent_response_type, as_messages, plain_tool_calls
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion, reject_failure
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.secrets import SecretName, variable_of
from sdg_prefect.blocks.wired import Names, WiredBlock
from sdg_prefect.errors import did_you_mean
from sdg_prefect.models.completion import Failure, Request
from sdg_prefect.models.connections import named_url
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.rows import ids_of, to_dataset, to_table, well_formed

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("AgentBlock")
class AgentBlock(WiredBlock):
    """Ask an agent about each row, and keep all that it replies: its messages, with the tools that it called.

    What it is asked is a text, a message, or a list of messages. Replies are kept like those of models, so an agent is not
    asked the same for the same row again. A row whose agent fails for good is rejected.
    """

    family: ClassVar[str] = "Ask a model"
    example: ClassVar[Example] = Example(
        config={
            "input_cols": "question",
            "output_cols": "reply",
            "agent_framework": "langflow",
            "agent_url": "http://localhost:7860/api/v1/run/my-flow",
        },
        rows=[{"question": "Who dances?"}],
    )

    agent_framework: str = Field(min_length=1)
    """How the agent is asked: ``langflow``, ``langgraph``, ``generic_http`` for any server that takes and gives a JSON object, or
    a kind that an installed package brings."""
    agent_url: str = Field(min_length=1)
    """Address of the agent: of a Langflow flow, of a LangGraph server, or where a question is posted."""
    agent_api_key: SecretName | None = None
    """``${NAME}``: the environment variable that holds the agent's key."""
    input_cols: Mapping[str, str] | Names = Field(min_length=1)
    """The column with what is asked; or a mapping with it under ``messages``."""
    output_cols: Mapping[str, Any] | Names = ("agent_response",)
    """The column that gets the reply."""
    session_id_col: str | None = None
    """Column with the id of the conversation; the id of the row if not given."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds until an attempt is given up."""
    max_concurrency: int = Field(default=10, ge=1)
    """Calls in flight at most."""
    connector_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    """Options of the framework: ``assistant_id`` and ``run_config`` for LangGraph; ``request_message_path``,
    ``response_text_path``, ``request_session_id_path`` and ``response_session_id_path`` for ``generic_http``; the fields of
    another kind."""
    async_mode: bool = False
    """Without effect: rows are always asked about beside each other."""
    max_retries: int = Field(default=3, ge=0)
    """Without effect: how often a call is tried is said for the whole run, by ``SDG_PREFECT_CALL_ATTEMPTS``."""

    @model_validator(mode="after")
    def _options_fit(self) -> AgentBlock:
        from sdg_prefect.models.services.kinds import UnknownAgent, find_agent

        try:
            options = find_agent(self.agent_framework)
        except UnknownAgent as error:
            raise PydanticCustomError("agent", "agent_framework: {said}", {"said": str(error)}) from error
        try:
            options.model_validate(dict(self.connector_kwargs))
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in detail["loc"])
            known = options.model_fields
            words = {
                "missing": f"'{name}' is missing.",
                "extra_forbidden": f"unknown option '{name}'. {did_you_mean(name, known)}",
            }
            said = words.get(detail["type"], f"{name}: {detail['msg']}").rstrip()
            raise PydanticCustomError(
                "connector", "{said}", {"said": f"connector_kwargs of {self.agent_framework}: {said}"}
            ) from error
        return self

    @property
    def _asked(self) -> str:
        if isinstance(self.input_cols, Mapping):
            return self.input_cols.get("messages") or next(iter(self.input_cols))
        return self.input_cols[0]

    @property
    def _model_id(self) -> str:
        return f"{self.agent_framework}@{named_url(self.agent_url)}"

    def reads(self) -> Iterable[str]:
        return [self._asked, *([self.session_id_col] if self.session_id_col else [])]

    def writes(self) -> Iterable[str]:
        return (next(iter(self.output_cols), "agent_response"),)

    def model_ids(self) -> Iterable[str]:
        return (self._model_id,)

    def own_endpoints(self) -> Mapping[str, Endpoint]:
        made = Endpoint(
            model=self._model_id,  # another address is another agent
            api_base=self.agent_url,
            api_key_env=variable_of(self.agent_api_key),
            client="agent",
            agent=self.agent_framework,
            params=dict(self.connector_kwargs),
            timeout=self.timeout,
            max_concurrency=self.max_concurrency,
        )
        return {self._model_id: made}

    def key_parts(self, models: Mapping[str, str]) -> dict[str, Any]:
        calls = ("agent_api_key", "timeout", "max_concurrency", "async_mode", "max_retries", "block_type")
        return {name: value for name, value in super().key_parts(models).items() if name not in calls}

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Ask."""
        table = to_table(rows)
        columns = {name: table.column(name).to_pylist() for name in self.reads()}
        requests, places = [], []
        for place, row_id in enumerate(ids_of(table)):
            messages = as_messages(columns[self._asked][place])
            if not messages:
                context.reject(place, "BadMessages", f"column '{self._asked}' holds nothing to ask.")
                continue
            session = columns[self.session_id_col][place] if self.session_id_col else None
            params = {"session_id": row_id if session is None else str(session)}
            requests.append(Request(self._model_id, row_id, messages=messages, params=params))
            places.append(place)
        expansion = Expansion(tuple(self.writes()))
        for place, answer in zip(places, context.complete(requests), strict=True):
            if isinstance(answer, Failure):
                reject_failure(context, place, answer)
            else:
                said = answer.choices[0].text if answer.choices else None
                try:
                    expansion.add(place, [_reply(said)])
                except (ValueError, AttributeError) as error:
                    context.reject(place, "BrokenReply", f"not the reply of an agent: {error}.", raw=said or "")
        return to_dataset(expansion.table(table, agent_response_type()))


def _reply(text: str | None) -> dict[str, Any]:
    """Return what an agent said as the row keeps it."""
    said = well_formed(json.loads(text or "{}"))
    messages = [{**message, "tool_calls": plain_tool_calls(message.get("tool_calls"))} for message in said.get("messages", ())]
    return {**said, "messages": messages}
