"""Let two models talk with each other, and one of them call tools that a third one plays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from jinja2 import TemplateError
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns, Need, needs_of
from sdg_prefect.blocks.conversation import message_type
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion, reject_failure
from sdg_prefect.blocks.offered_tools import Unfit, offering
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.sampling import DEFAULTS, GenKwargs
from sdg_prefect.blocks.talk import Briefing, Talk
from sdg_prefect.blocks.templates import TemplateText, Variables, render, variables_in
from sdg_prefect.blocks.toolbox import Toolbox
from sdg_prefect.models.completion import Choice, Failure, Message, Request
from sdg_prefect.rows import ids_of, to_dataset, to_table, values_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_PLAY = (
    "You stand in for the programs behind some tools. What comes to you are calls, one at a time, each as JSON. Reply with what "
    "the tool returns, as JSON, and with nothing else. Invent what you need, in detail and true to life, and never against what "
    'you returned before. Where the real tool could not do it, return an object with the key "error" that says why.'
)


@block("HoldConversation")
class HoldConversation(Block):
    """Let a model in the role of a user talk with another one in the role of the assistant, and keep the messages.

    Each turn of all rows of a shard is asked at once. The user's model sees the conversation from the user's side. It ends after
    so many turns, or when the user says the closing words. A row one of whose calls fails, or gets an empty reply, is rejected.

    With tools, in ``tools_col`` or in ``gen_kwargs``, the assistant may call them before it answers. What comes back is looked up
    in ``results_col``; what is not found there is written by the model ``tool_model_id``, which sees the calls so far. A call
    that does not fit to the tools gets an error as its result, as from a real server. Messages then have ``tool_calls``, and
    ``tool_call_id`` and ``name``, as those of ``FormatMessages`` have; the user sees nothing of it.
    """

    family: ClassVar[str] = "Ask a model"
    example: ClassVar[Example] = Example(
        config={
            "user_model_id": "student",
            "model_id": "teacher",
            "user_system": "You want to know about {{ topic }}. Say what you would ask next, and nothing else.",
            "turns": 1,
        },
        rows=[{"topic": "bees"}],
        replies={"You want to know": "Why do bees dance?", "Why do bees dance?": "To tell where food is."},
        output=[
            {
                "topic": "bees",
                "messages": [
                    {"role": "user", "content": "Why do bees dance?"},
                    {"role": "assistant", "content": "To tell where food is."},
                ],
            }
        ],
    )

    model_id: str = Field(min_length=1)
    """The model that is the assistant."""
    user_model_id: str = Field(min_length=1)
    """The model that is the user; may be the same."""
    user_system: TemplateText = Field(min_length=1)
    """What the user's model is told: who it is and what it wants; a template over the row."""
    system: TemplateText | None = None
    """What the assistant is told; a template over the row. It is the first of the messages that are kept."""
    opening_col: str | None = None
    """Column with the user's first message; the user's model writes it if not given."""
    turns: Annotated[int, Field(ge=1, le=100)] = 3
    """How often at most the user speaks, and is answered."""
    closing: str | None = None
    """Words by which the user ends the conversation, such as ``[END]``; a message that has them is left out."""
    tools_col: str | None = Field(default=None, min_length=1)
    """Column with the tools that the assistant may call: a list of them as OpenAI has it, or JSON text. A row without any has a
    conversation without. The same for all rows are ``tools`` in ``gen_kwargs``, where ``tool_choice`` goes too."""
    results_col: str | None = Field(default=None, min_length=1)
    """Column with what tools return: a list of objects with the ``name`` of a tool, its ``result``, and ``arguments`` if it is
    for a call with just these; or JSON text. The first that fits counts."""
    tool_model_id: str | None = Field(default=None, min_length=1)
    """The model that plays the tools: it writes the results that are not in ``results_col``. Without one, a row that needs such a
    result is rejected."""
    tool_system: TemplateText = Field(default=_PLAY, min_length=1)
    """What that model is told, such as what stands in the tools' database; a template over the row. The tools are added to it."""
    tool_rounds: Annotated[int, Field(ge=1, le=100)] = 5
    """How often at most the assistant calls tools before it answers the user; a row in which it then calls more is rejected."""
    output_col: str = Field(default="messages", min_length=1)
    """Column that gets the messages."""
    gen_kwargs: GenKwargs = Field(default_factory=dict)
    """Sampling parameters of all models, over the defaults temperature 0 and max_tokens 4096. What is about tools is for the
    assistant alone."""

    @model_validator(mode="after")
    def _knows_who_plays_the_tools(self) -> HoldConversation:
        given = [name for name in ("results_col", "tool_model_id", "tool_system", "tool_rounds") if name in self.model_fields_set]
        if not self._has_tools and given:
            raise PydanticCustomError(
                "tools", "'{name}' is about tools, and there are none: name their column, 'tools_col'.", {"name": given[0]}
            )
        if self._has_tools and self.tool_model_id is None and self.results_col is None:
            raise PydanticCustomError(
                "tools", "nobody answers the calls of tools: give a 'tool_model_id' that does, or a 'results_col'."
            )
        if self.tools_col is not None and self._shared_tools is not None:
            raise PydanticCustomError("tools", "the tools are in 'tools_col' or in 'gen_kwargs', not in both.")
        try:
            Toolbox.of(self._shared_tools)
        except Unfit as error:
            raise PydanticCustomError("tools", "{reason}", {"reason": str(error)}) from error
        return self

    @property
    def _shared_tools(self) -> Any:
        return self.gen_kwargs.get("tools")

    @property
    def _has_tools(self) -> bool:
        return self.tools_col is not None or bool(self._shared_tools)

    def reads(self) -> Iterable[Need]:
        told = (self.user_system, self.system, self.tool_system if self.tool_model_id else None)
        found = variables_in(text for text in told if text is not None)
        needed = found.needed | {name for name in (self.opening_col, self.tools_col, self.results_col) if name is not None}
        return needs_of(Variables(needed, found.optional - needed))

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def model_ids(self) -> Iterable[str]:
        return dict.fromkeys(name for name in (self.model_id, self.user_model_id, self.tool_model_id) if name is not None)

    def calls_per_row(self) -> int:
        return 2 * self.turns - (self.opening_col is not None)

    def calls_range(self) -> tuple[int, int, int | None]:
        plain = self.calls_per_row()
        least = plain if self.closing is None else 1
        if not self._has_tools:
            return least, plain, plain
        if self.tool_model_id is None:
            return least, plain + self.turns, plain + self.turns * self.tool_rounds
        # How many tools are called at once is up to the assistant.
        return least, plain + 2 * self.turns, None

    def most_tokens_per_call(self) -> int | None:
        params = {**DEFAULTS, **self.gen_kwargs}
        return int(params.get("max_completion_tokens") or params["max_tokens"])

    def asks(self) -> object:
        return [self.user_system, self.system]

    def doubts(self, before: Columns) -> Iterable[str]:
        yield from super().doubts(before)
        if self._has_tools and self.gen_kwargs.get("tool_choice") not in (None, "auto", "none"):
            yield "with this 'tool_choice' the assistant calls tools without an end, and never answers; 'auto' lets it do both."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Let user and assistant speak in turns."""
        import pyarrow as pa

        table = to_table(rows)
        going = self._begun(table, context)
        ended: list[Talk] = []
        for turn in range(self.turns):
            if turn or self.opening_col is None:
                going = self._hear_user(going, context)
            closed = [talk for talk in going if self._is_closed(talk)]
            going = self._hear_assistant([talk for talk in going if not self._is_closed(talk)], context)
            ended += [talk for talk in closed if _has_begun(talk, context)]
        expansion = Expansion((self.output_col,))
        for talk in sorted([*ended, *going], key=lambda one: one.place):
            expansion.add(talk.place, [talk.kept()])
        return to_dataset(expansion.table(table, pa.list_(message_type(has_tools=self._has_tools))))

    def _begun(self, table: pa.Table, context: Context) -> list[Talk]:
        """Tell each side what it is told, and take the user's first message from its column, before anything is asked."""
        talks = []
        values = values_of(table, {need.column for need in self.reads()})
        for place, (row_id, row) in enumerate(zip(ids_of(table), values, strict=True)):
            try:
                talk = Talk(place, row_id, self._briefing(row), self._toolbox(row))
            except TemplateError as error:
                context.reject(place, "TemplateFailed", str(error))
                continue
            except Unfit as error:
                context.reject(place, "BadTools", str(error))
                continue
            if self.opening_col is not None:
                said = "" if row[self.opening_col] is None else str(row[self.opening_col]).strip()
                if not said:
                    context.reject(place, "NothingSaid", f"'{self.opening_col}' has no first message.")
                    continue
                talk.say("user", said)
            talks.append(talk)
        return talks

    def _briefing(self, row: Mapping[str, Any]) -> Briefing:
        told = (self.user_system, self.system or "", self.tool_system if self.tool_model_id else "")
        return Briefing(*(render(text, row).strip() for text in told))

    def _toolbox(self, row: Mapping[str, Any]) -> Toolbox:
        tools = row[self.tools_col] if self.tools_col is not None else self._shared_tools
        return Toolbox.of(tools, row[self.results_col] if self.results_col is not None else None)

    def _hear_user(self, talks: Sequence[Talk], context: Context) -> list[Talk]:
        """Let the user speak in each conversation; return those that go on."""
        params = self._params(())
        requests = [self._request(talk, self.user_model_id, talk.seen_by_user(), params) for talk in talks]
        for talk, said in zip(talks, self._answers(talks, requests, context), strict=True):
            if said is not None:
                _note(talk, "user", said, context)
        return [talk for talk in talks if not talk.is_lost]

    def _hear_assistant(self, talks: Sequence[Talk], context: Context) -> list[Talk]:
        """Let the assistant answer, after the calls of tools that it wants; return the conversations that go on."""
        done: list[Talk] = []
        for rounds in range(self.tool_rounds + 1):
            talks = self._use_tools(talks, context) if rounds else talks
            requests = [self._request(talk, self.model_id, talk.kept(), self._params(talk.toolbox.tools)) for talk in talks]
            for talk, said in zip(talks, self._answers(talks, requests, context), strict=True):
                if said is not None:
                    _note(talk, "assistant", said, context)
            done += [talk for talk in talks if not talk.is_lost and not talk.waiting]
            talks = [talk for talk in talks if not talk.is_lost and talk.waiting]
            if not talks:
                break
        for talk in talks:
            _lose(talk, "NoAnswer", f"after {self.tool_rounds} rounds of calls the assistant wants more.", context)
        return done

    def _use_tools(self, talks: Sequence[Talk], context: Context) -> list[Talk]:
        """Answer the calls that wait; return the conversations that go on."""
        unknown = [(talk, waiting) for talk in talks for waiting in talk.waiting if waiting.result is None]
        if self.tool_model_id is None:
            for talk, waiting in unknown:
                _lose(talk, "NoResult", f"'{self.results_col}' has no result for {waiting}.", context)
        else:
            params = self._params(())
            requests = [self._request(talk, self.tool_model_id, talk.seen_by_tools(one.call), params) for talk, one in unknown]
            answers = self._answers([talk for talk, _ in unknown], requests, context)
            for (talk, waiting), said in zip(unknown, answers, strict=True):
                waiting.result = (said.text or "").strip() if said is not None else None
                if said is not None and not waiting.result:
                    _lose(talk, "NothingSaid", f"the tools returned nothing for {waiting}.", context)
        going = [talk for talk in talks if not talk.is_lost]
        for talk in going:
            talk.return_results()
        return going

    def _params(self, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return offering({**DEFAULTS, **self.gen_kwargs}, tools)

    def _request(self, talk: Talk, model_id: str, messages: Sequence[Message], params: Mapping[str, Any]) -> Request:
        return Request(model_id, talk.row_id, messages=messages, params=params, sample=len(talk.messages))

    def _answers(self, talks: Sequence[Talk], requests: Sequence[Request], context: Context) -> list[Choice | None]:
        """Return what each request is answered; None where it failed and its row is rejected."""
        said: list[Choice | None] = []
        for talk, answer in zip(talks, context.complete(requests), strict=True):
            if isinstance(answer, Failure):
                if not talk.is_lost:
                    reject_failure(context, talk.place, answer)
                talk.is_lost = True
                said.append(None)
            else:
                said.append(answer.choices[0] if answer.choices else Choice(None))
        return said

    def _is_closed(self, talk: Talk) -> bool:
        return self.closing is not None and self.closing in talk.messages[-1]["content"]


def _note(talk: Talk, role: str, said: Choice, context: Context) -> None:
    """Add what was said to a conversation, which is lost if it is nothing."""
    text, calls = (said.text or "").strip(), said.tool_calls if role == "assistant" else None
    if not text and not calls:
        _lose(talk, "NothingSaid", f"the {role} said nothing in message {len(talk.messages) + 1}.", context)
        return
    talk.say(role, text, calls)


def _has_begun(talk: Talk, context: Context) -> bool:
    """Take the closing words away, and tell whether anything is left."""
    closing = talk.messages.pop()
    if not talk.messages:
        said = "the user ended the conversation before it began."
        context.reject(talk.place, "NothingSaid", said, raw=closing["content"])
    return bool(talk.messages)


def _lose(talk: Talk, error: str, message: str, context: Context) -> None:
    """Reject the row of a conversation, once."""
    if not talk.is_lost:
        context.reject(talk.place, error, message)
    talk.is_lost = True
