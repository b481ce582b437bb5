"""Let two models talk with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from jinja2 import TemplateError
from pydantic import Field

from sdg_prefect.blocks.base import Block, Need, needs_of
from sdg_prefect.blocks.conversation import prompt_type
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion, reject_failure
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.sampling import DEFAULTS, GenKwargs
from sdg_prefect.blocks.templates import TemplateText, Variables, render, variables_in
from sdg_prefect.models.completion import Failure, Request
from sdg_prefect.rows import ids_of, to_dataset, to_table, values_of

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@dataclass(slots=True)
class Talk:
    """A conversation as it goes on."""

    place: int
    row_id: str
    row: Mapping[str, Any]
    said: list[str] = field(default_factory=list)
    """What was said, by the user and the assistant in turns."""


@block("HoldConversation")
class HoldConversation(Block):
    """Let a model in the role of a user talk with another one in the role of the assistant, and keep the messages.

    Each turn of all rows of a shard is asked at once. The user's model sees the conversation from the user's side. It ends after
    so many turns, or when the user says the closing words. A row one of whose calls fails, or gets an empty reply, is rejected.
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
    output_col: str = Field(default="messages", min_length=1)
    """Column that gets the messages."""
    gen_kwargs: GenKwargs = Field(default_factory=dict)
    """Sampling parameters of both, over the defaults temperature 0 and max_tokens 4096."""

    def reads(self) -> Iterable[Need]:
        found = variables_in(text for text in (self.user_system, self.system) if text is not None)
        needed = found.needed | ({self.opening_col} if self.opening_col else set())
        return needs_of(Variables(needed, found.optional - needed))

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def model_ids(self) -> Iterable[str]:
        return dict.fromkeys((self.model_id, self.user_model_id))

    def calls_per_row(self) -> int:
        return 2 * self.turns - (self.opening_col is not None)

    def calls_range(self) -> tuple[int, int, int | None]:
        most = self.calls_per_row()
        return (most if self.closing is None else 1), most, most

    def most_tokens_per_call(self) -> int | None:
        params = {**DEFAULTS, **self.gen_kwargs}
        return int(params.get("max_completion_tokens") or params["max_tokens"])

    def asks(self) -> object:
        return [self.user_system, self.system]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Let user and assistant speak in turns."""
        table = to_table(rows)
        values = values_of(table, {need.column for need in self.reads()})
        going = [Talk(place, row_id, row) for place, (row_id, row) in enumerate(zip(ids_of(table), values, strict=True))]
        ended: list[Talk] = []
        for turn in range(self.turns):
            opens = turn == 0 and self.opening_col is not None
            going = self._open(going, context) if opens else self._speak(going, context, is_user=True)
            ended += [talk for talk in going if self._is_closed(talk)]
            going = self._speak([talk for talk in going if not self._is_closed(talk)], context, is_user=False)
        expansion = Expansion((self.output_col,))
        for talk in sorted([*ended, *going], key=lambda one: one.place):
            self._keep(talk, expansion, context)
        return to_dataset(expansion.table(table, prompt_type()))

    def _open(self, talks: list[Talk], context: Context) -> list[Talk]:
        """Take the first message of the user from its column."""
        opened = []
        for talk in talks:
            said = talk.row[self.opening_col or ""]
            if said is None or not str(said).strip():
                context.reject(talk.place, "NothingSaid", f"'{self.opening_col}' has no first message.")
                continue
            talk.said.append(str(said).strip())
            opened.append(talk)
        return opened

    def _speak(self, talks: list[Talk], context: Context, *, is_user: bool) -> list[Talk]:
        """Ask for the next message of each conversation; return those that go on."""
        asked, requests = [], []
        for talk in talks:
            try:
                requests.append(self._request(talk, is_user=is_user))
                asked.append(talk)
            except TemplateError as error:
                context.reject(talk.place, "TemplateFailed", str(error))
        going = []
        for talk, answer in zip(asked, context.complete(requests), strict=True):
            if isinstance(answer, Failure):
                reject_failure(context, talk.place, answer)
                continue
            said = ((answer.choices[0].text if answer.choices else None) or "").strip()
            if not said:
                who = "user" if is_user else "assistant"
                context.reject(talk.place, "NothingSaid", f"the {who} said nothing in message {len(talk.said) + 1}.")
                continue
            talk.said.append(said)
            going.append(talk)
        return going

    def _request(self, talk: Talk, *, is_user: bool) -> Request:
        template = self.user_system if is_user else self.system
        told = render(template, talk.row).strip() if template else ""
        messages = [{"role": "system", "content": told}] if told else []
        # To the user's model what the assistant says is what a user says.
        roles = ("assistant", "user") if is_user else ("user", "assistant")
        messages += [{"role": roles[number % 2], "content": text} for number, text in enumerate(talk.said)]
        if is_user and not talk.said:
            messages = [{"role": "user", "content": told}]
        params = {**DEFAULTS, **self.gen_kwargs}
        model_id = self.user_model_id if is_user else self.model_id
        return Request(model_id, talk.row_id, messages=messages, params=params, sample=len(talk.said))

    def _is_closed(self, talk: Talk) -> bool:
        return self.closing is not None and self.closing in talk.said[-1]

    def _keep(self, talk: Talk, expansion: Expansion, context: Context) -> None:
        said = talk.said[:-1] if len(talk.said) % 2 else talk.said
        if not said:
            context.reject(talk.place, "NothingSaid", "the user ended the conversation before it began.", raw=talk.said[-1])
            return
        told = render(self.system, talk.row).strip() if self.system else ""
        messages = [{"role": "system", "content": told}] if told else []
        messages += [{"role": "user" if number % 2 == 0 else "assistant", "content": text} for number, text in enumerate(said)]
        expansion.add(talk.place, [messages])
