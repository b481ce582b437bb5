"""Bring rows into the forms that trainers read: prompts with completions, and preferences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.conversation import message_type, prompt_type
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.offered_tools import Unfit
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.turns import calls_in
from sdg_prefect.models.completion import Message
from sdg_prefect.rows import to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

Layout = Literal["messages", "prompt_completion", "alpaca", "sharegpt"]


@block("FormatForTuning")
class FormatForTuning(Block):
    """Bring a prompt and its response into the form that a trainer reads for supervised fine-tuning.

    ``messages`` and ``prompt_completion`` are those of TRL and of OpenAI, ``alpaca`` has ``instruction``, ``input`` and
    ``output``, ``sharegpt`` has ``conversations``. A row without a prompt or a response is rejected. Name the new columns in
    ``output_columns`` of the flow to have nothing else in the output. ``FormatMessages`` makes conversations of several turns,
    and of tools whose results are known.
    """

    family: ClassVar[str] = "Data for training"
    example: ClassVar[Example] = Example(
        config={"prompt_col": "question", "response_col": "answer", "layout": "sharegpt"},
        rows=[{"question": "Who dances?", "answer": "Bees."}],
        output=[
            {
                "question": "Who dances?",
                "answer": "Bees.",
                "conversations": [{"from": "human", "value": "Who dances?"}, {"from": "gpt", "value": "Bees."}],
            }
        ],
    )

    prompt_col: str = Field(min_length=1)
    """Column with what the user says."""
    response_col: str = Field(min_length=1)
    """Column with what the assistant says."""
    layout: Layout = "messages"
    """The form."""
    system: str | None = None
    """What the system says, the same for every row."""
    input_col: str | None = None
    """Column with the material of the instruction; it follows the prompt where the form has no place of its own for it."""
    reasoning_col: str | None = None
    """Column with thoughts, which are put before the response between ``<think>`` and ``</think>``."""
    tool_calls_col: str | None = Field(default=None, min_length=1)
    """Column with the tools that the response calls, a list of calls or JSON text, for ``messages`` and ``prompt_completion``. A
    row that has some may do without a text. The tools themselves stay in their column, which trainers want as ``tools``."""

    @model_validator(mode="after")
    def _has_a_place_for_calls(self) -> FormatForTuning:
        if self.tool_calls_col is not None and self.layout in ("alpaca", "sharegpt"):
            raise PydanticCustomError(
                "layout", "the form '{layout}' has no place for calls of tools; take 'messages'.", {"layout": self.layout}
            )
        return self

    def reads(self) -> Iterable[str]:
        names = (self.prompt_col, self.response_col, self.input_col, self.reasoning_col, self.tool_calls_col)
        return dict.fromkeys(name for name in names if name is not None)

    def writes(self) -> Iterable[str]:
        return {
            "messages": ("messages",),
            "prompt_completion": ("prompt", "completion"),
            "alpaca": ("instruction", "input", "output"),
            "sharegpt": ("conversations",),
        }[self.layout]

    def doubts(self, before: Columns) -> Iterable[str]:
        if self.layout == "alpaca" and self.system is not None:
            yield "the form 'alpaca' has no place for 'system', which has no effect."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Lay out each row."""
        table = to_table(rows)
        expansion = Expansion(tuple(self.writes()))
        for place, row in enumerate(table.select(list(self.reads())).to_pylist()):
            try:
                calls = calls_in(row[self.tool_calls_col], 0) if self.tool_calls_col is not None else []
            except Unfit as error:
                context.reject(place, "BadToolCalls", f"'{self.tool_calls_col}': {error}")
                continue
            prompt, response = (_said(row[name]) for name in (self.prompt_col, self.response_col))
            if not prompt or not (response or calls):
                empty = self.response_col if prompt else self.prompt_col
                context.reject(place, "NothingSaid", f"'{empty}' is empty.")
                continue
            more = _said(row[self.input_col]) if self.input_col is not None else ""
            thoughts = _said(row[self.reasoning_col]) if self.reasoning_col is not None else ""
            response = f"<think>\n{thoughts}\n</think>\n\n{response}" if thoughts else response
            expansion.add(place, self._laid_out(prompt, more, response, calls))
        return to_dataset(expansion.table(table, self._kinds()))

    def _laid_out(self, prompt: str, more: str, response: str, calls: list[dict[str, Any]]) -> list[Any]:
        asked = f"{prompt}\n\n{more}" if more else prompt
        said = [("system", self.system)] if self.system else []
        match self.layout:
            case "alpaca":
                return [prompt, more, response]
            case "prompt_completion":
                return [_messages([*said, ("user", asked)]), [_reply(response, calls)]]
            case "sharegpt":
                turns = [*said, ("human", asked), ("gpt", response)]
                return [[{"from": who, "value": text} for who, text in turns]]
        return [[*_messages([*said, ("user", asked)]), _reply(response, calls)]]

    def _kinds(self) -> list[pa.DataType]:
        import pyarrow as pa

        if self.layout == "alpaca":
            return [pa.string()] * 3
        if self.layout == "sharegpt":
            return [pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))]
        return [pa.list_(message_type(has_tools=self.tool_calls_col is not None))] * 2


def _said(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _messages(turns: Iterable[tuple[str, str]]) -> list[Message]:
    return [{"role": role, "content": content} for role, content in turns]


def _reply(response: str, calls: list[dict[str, Any]]) -> Message:
    return {"role": "assistant", "content": response, **({"tool_calls": calls} if calls else {})}


@block("FormatPreference")
class FormatPreference(Block):
    """Bring a prompt with a better and a worse response into the form that trainers read for DPO and reward models.

    The columns are ``prompt``, ``chosen`` and ``rejected``, as TRL has them: lists of messages, or texts. A row without one of
    them, or whose responses are the same, is rejected.
    """

    family: ClassVar[str] = "Data for training"
    example: ClassVar[Example] = Example(
        config={"prompt_col": "question", "chosen_col": "best", "rejected_col": "worst", "conversational": False},
        rows=[{"question": "Who dances?", "best": "Bees.", "worst": "Cows."}],
        output=[
            {"question": "Who dances?", "best": "Bees.", "worst": "Cows.", "prompt": "Who dances?", "chosen": "Bees.", "rejected": "Cows."}  # noqa: E501
        ],
    )  # fmt: skip

    prompt_col: str = Field(min_length=1)
    """Column with what the user says."""
    chosen_col: str = Field(min_length=1)
    """Column with the better response."""
    rejected_col: str = Field(min_length=1)
    """Column with the worse one."""
    system: str | None = None
    """What the system says, the same for every row; for messages."""
    conversational: bool = True
    """False for texts in place of lists of messages."""

    def reads(self) -> Iterable[str]:
        return dict.fromkeys((self.prompt_col, self.chosen_col, self.rejected_col))

    def writes(self) -> Iterable[str]:
        return ("prompt", "chosen", "rejected")

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Lay out each row."""
        import pyarrow as pa

        table = to_table(rows)
        expansion = Expansion(tuple(self.writes()))
        for place, row in enumerate(table.select(list(self.reads())).to_pylist()):
            prompt, chosen, rejected = (_said(row[name]) for name in (self.prompt_col, self.chosen_col, self.rejected_col))
            if not (prompt and chosen and rejected):
                context.reject(place, "NothingSaid", "the prompt or one of the responses is empty.")
            elif chosen == rejected:
                context.reject(place, "SameResponses", "the better and the worse response are the same.", raw=chosen)
            elif self.conversational:
                said = [("system", self.system)] if self.system else []
                replies = (_messages([("assistant", text)]) for text in (chosen, rejected))
                expansion.add(place, [_messages([*said, ("user", prompt)]), *replies])
            else:
                expansion.add(place, [prompt, chosen, rejected])
        return to_dataset(expansion.table(table, [prompt_type() if self.conversational else pa.string()] * 3))
