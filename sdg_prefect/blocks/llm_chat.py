"""Send a column of chat messages to a model and keep whole replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.chat_parameters import ChatParameters
from sdg_prefect.blocks.conversation import plain_tool_calls, response_type
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.files import FlowFiles
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.sampling import KNOWN, normal
from sdg_prefect.blocks.secrets import SecretName, check_no_secrets, variable_of
from sdg_prefect.blocks.sending import Kept, MessagesBlock
from sdg_prefect.blocks.wired import OneName, WiredBlock
from sdg_prefect.errors import did_you_mean
from sdg_prefect.models.connections import named_url
from sdg_prefect.models.endpoint import Endpoint

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context
    from sdg_prefect.models.completion import Choice, Completion

_UNNAMED = "default"
"""The model of a block where neither it nor its flow names one."""
_NOT_ASKED = ("api_key", "api_base", "timeout", "async_mode", "num_retries", "drop_params", "block_type")
"""Fields that do not decide what is replied."""


class ServedModel(WiredBlock):
    """A block that names its model as litellm does, and may say where it is served."""

    model: str = Field(default="", validate_default=True)
    """The model as litellm names it, or by a name of ``models:``; the one that the flow recommends if not given."""
    api_base: str | None = None
    """Address of the server, where ``models:`` and the command line name none."""
    api_key: SecretName | None = None
    """``${NAME}``: the environment variable that holds the key."""

    @field_validator("model")
    @classmethod
    def _has_a_model(cls, model: str, info: ValidationInfo) -> str:
        recommended = info.context.default_model if isinstance(info.context, FlowFiles) else ""
        return model or recommended or _UNNAMED

    @property
    def model_id(self) -> str:
        """The name under which the endpoint is found."""
        return f"{self.model}@{named_url(self.api_base)}" if self.api_base else self.model

    def model_ids(self) -> Iterable[str]:
        return (self.model_id,)

    @property
    def seconds(self) -> float | None:
        """Seconds until a call is given up, if the block says so."""
        return None

    def own_endpoints(self) -> Mapping[str, Endpoint]:
        if not {"model", "api_base"} & self.model_fields_set or (self.model == _UNNAMED and not self.api_base):
            return {}
        timeout = {} if self.seconds is None else {"timeout": self.seconds}
        key = variable_of(self.api_key)
        return {self.model_id: Endpoint(model=self.model, api_base=self.api_base, api_key_env=key, **timeout)}

    def key_parts(self, models: Mapping[str, str]) -> dict[str, Any]:
        parts = {name: value for name, value in super().key_parts(models).items() if name not in _NOT_ASKED}
        return {**parts, "served model": [models.get(model_id, self.model) for model_id in self.model_ids()]}


@block("LLMChatBlock")
class LLMChatBlock(ServedModel, MessagesBlock, ChatParameters):
    """Send a column of chat messages to a model, and keep its replies as a list of messages.

    A message of the list has ``role``, ``content``, ``reasoning_content`` and ``tool_calls``; the list has ``n`` of them.
    Parameters of the OpenAI protocol stand among the fields; another field is sent to the server as it is.
    """

    example: ClassVar[Example] = Example(
        config={"input_cols": "messages", "output_cols": "replies", "model": "teacher", "temperature": 0.7},
        rows=[{"messages": [{"role": "user", "content": "Who dances?"}]}],
        replies={"Who dances?": "Bees."},
        output=[
            {
                "messages": [{"role": "user", "content": "Who dances?"}],
                "replies": [{"role": "assistant", "content": "Bees.", "reasoning_content": None, "tool_calls": None}],
            }
        ],
    )

    model_config = ConfigDict(extra="allow")

    input_cols: OneName
    """The one column of message lists."""
    output_cols: OneName
    """The one column that gets the list of replies."""
    async_mode: bool = False
    """Without effect: all calls run beside each other."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds until an attempt of a call is given up, where the block names its model; else say it under ``models:``."""
    num_retries: int = 6
    """Without effect: how often a call is tried is said for the whole run, by ``SDG_PREFECT_CALL_ATTEMPTS``."""
    drop_params: bool = True
    """Without effect: parameters are sent as they are given."""

    @model_validator(mode="after")
    def _holds_no_key(self) -> LLMChatBlock:
        check_no_secrets(self.model_extra or {})
        return self

    @property
    def seconds(self) -> float | None:
        return self.timeout if "timeout" in self.model_fields_set else None

    def reads(self) -> Iterable[str]:
        return self._with_tools(*self.input_cols)

    def writes(self) -> Iterable[str]:
        return self.output_cols

    def doubts(self, before: Columns) -> Iterable[str]:
        yield from super().doubts(before)
        for name in self._unknown():
            near = did_you_mean(name, [*KNOWN, *type(self).model_fields])
            yield f"'{name}' is sent to the server as it is. {near if near.startswith('Did') else ''}".rstrip()
        if self.seconds is not None and not self.own_endpoints():
            yield "'timeout' has no effect, as the block names no model; say it at the model, under 'models:'."

    def most_tokens_per_call(self) -> int | None:
        most = self.max_completion_tokens or self.max_tokens
        return most * (self.n or 1) if most else None

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Send and keep."""
        import pyarrow as pa

        kept = Kept(self.output_cols[0], pa.list_(response_type()), self._replies)
        return self._send(rows, context, self.input_cols[0], self._asked(), [kept])

    def _unknown(self) -> list[str]:
        return sorted(name for name in self.model_extra or {} if name not in KNOWN)

    def _asked(self) -> dict[str, Any]:
        """Return the parameters of a call; those that only the server knows in its body."""
        extra = self.model_extra or {}
        body = {name: extra[name] for name in self._unknown() if extra[name] is not None}
        params = {**self.parameters(), **{name: value for name, value in extra.items() if name in KNOWN}}
        if params["max_completion_tokens"] is not None:
            params["max_tokens"] = None
        if body:
            params["extra_body"] = {**body, **(params["extra_body"] or {})}
        return normal(params)

    def _replies(self, answer: Completion) -> list[dict[str, Any]]:
        kept = answer.choices if (self.n or 1) > 1 else answer.choices[:1]
        return [_as_message(choice) for choice in kept]


def _as_message(choice: Choice) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": choice.text,
        "reasoning_content": choice.reasoning,
        "tool_calls": plain_tool_calls(choice.tool_calls),
    }
