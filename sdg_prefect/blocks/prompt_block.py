"""The way from a row through a prompt and the replies of a model to rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from jinja2 import TemplateError
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns, Need
from sdg_prefect.blocks.expansion import Expansion, reject_failure
from sdg_prefect.blocks.parsing import ParserOptions, parse_pattern, parse_tags, rows_of
from sdg_prefect.blocks.prompts import Prompt
from sdg_prefect.blocks.sampling import DEFAULTS, GenKwargs
from sdg_prefect.models.completion import Choice, Completion, Failure, Request
from sdg_prefect.rows import ids_of, set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


T = TypeVar("T")

RAW_PROMPT = "blank"
"""The ``model_prompt`` that sends the prompt as it is, over the text completion protocol."""

_REASONING_MODEL = "nvidia/Llama-3_3-Nemotron-Super-49B-v1"
_REASONING_SYSTEM = {"role": "system", "content": "detailed thinking on"}


class PromptBlock(Block):
    """The way from a row through a prompt and a model's replies to rows."""

    makes_rows: ClassVar[bool] = True
    family: ClassVar[str] = "Ask a model"

    output_cols: tuple[str, ...] = Field(min_length=1)
    """Columns that the parser fills."""
    model_id: str = Field(min_length=1)
    """The model, by the name that ``models:`` or the endpoint knows."""
    model_prompt: str | None = None
    """``blank`` sends the prompt as raw text; a text with ``{prompt}`` wraps it as raw text; a known template's name and nothing
    mean chat, where the server applies the template of its model."""
    parser_kwargs: ParserOptions = ParserOptions()
    """How replies are parsed; by the prompt's tags if not given. See [flow files](flow-files.md#from-replies-to-rows)."""
    reasoning_col: str | None = None
    """Column that gets what a reasoning model thought before its reply, where the server tells; null where it does not."""
    batch_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    """``num_samples`` fills the prompt's variable of that name. The rest has no effect here."""
    gen_kwargs: GenKwargs = Field(default_factory=dict)
    """Sampling parameters, over the defaults temperature 0 and max_tokens 4096."""

    @model_validator(mode="after")
    def _parser_fits(self) -> PromptBlock:
        self._check_parser()
        return self

    def _check_parser(self) -> None:
        """Raise if no reply could ever give a row."""
        options = self.parser_kwargs
        prompt = self._first_prompt()
        if options.is_custom:
            if not options.parsing_pattern:
                raise PydanticCustomError("parser", "parser 'custom' needs a 'parsing_pattern'.")
            import re

            groups = max(1, re.compile(options.parsing_pattern).groups)
            if groups < len(self.output_cols):
                raise PydanticCustomError(
                    "parser",
                    "the pattern has {groups} group(s) for {columns} output columns, so no reply could ever give a row.",
                    {"groups": groups, "columns": len(self.output_cols)},
                )
        elif not self._tags():
            lacks = "end_tags" if prompt.start_tags else "start_tags" if prompt.end_tags else "start_tags and end_tags"
            raise PydanticCustomError(
                "parser",
                "{message}",
                {"message": f"the prompt {prompt.source} has no {lacks}. Give it both (empty texts for the whole reply), or "
                 "set parser_kwargs with parser_name 'custom' and a parsing_pattern."},
            )  # fmt: skip

    def _first_prompt(self) -> Prompt:
        """Return the prompt whose tags and ``num_samples`` count."""
        raise TypeError(f"{type(self).__name__} has no prompt")

    def reads(self) -> Iterable[Need]:
        return [need for need in self._first_prompt().needs() if need.column not in self._supplied()]

    def writes(self) -> Iterable[str]:
        added = ["num_samples"] if self._first_prompt().num_samples is not None else []
        return [*added, *self._made]

    def doubts(self, before: Columns) -> Iterable[str]:
        options = self.parser_kwargs
        if options.parsing_pattern and not options.is_custom:
            yield "the parsing_pattern has no effect without parser_name 'custom'."
        if len(self._filled()) < len(self.output_cols):
            yield (
                f"the prompt has {len(self._tags())} pair(s) of tags for {len(self.output_cols)} output columns; "
                f"these are never made: {', '.join(self.output_cols[len(self._filled()) :])}."
            )

    def model_ids(self) -> Iterable[str]:
        return (self.model_id,)

    def most_tokens_per_call(self) -> int | None:
        params = {**DEFAULTS, **self.gen_kwargs}
        most = params.get("max_completion_tokens") or params.get("max_tokens")
        return int(most) * int(params.get("n") or 1) if most else None

    def rows_per_row(self) -> tuple[int, int | None]:
        return int(self.gen_kwargs.get("n") or 1), None

    def asks(self) -> object:
        return [message.model_dump() for message in self._first_prompt().messages]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Ask, parse, expand: the rows of one input row stand together, in the order of its replies."""
        import pyarrow as pa

        table = self._with_num_samples(to_table(rows))
        requests, places = self._ask(table, context)
        expansion = Expansion(self._made)
        for place, answer in zip(places, context.complete(requests), strict=True):
            if isinstance(answer, Failure):
                reject_failure(context, place, answer)
            else:
                self._expand(expansion, place, answer, context)
        return to_dataset(expansion.table(table, [self._kind()] * len(self._filled()) + self._told([pa.string()])))

    @property
    def _made(self) -> tuple[str, ...]:
        """The columns that are made of a reply."""
        return (*self._filled(), *self._told([self.reasoning_col or ""]))

    def _told(self, about_reasoning: list[T]) -> list[T]:
        """Return what is given where the reasoning has a column; else nothing."""
        return about_reasoning if self.reasoning_col is not None else []

    def _kind(self) -> pa.DataType:
        """Return the type of the columns that are filled."""
        import pyarrow as pa

        return pa.string()

    def _ask(self, table: pa.Table, context: Context) -> tuple[list[Request], list[int]]:
        ids = ids_of(table)
        requests, places = [], []
        for place, row in enumerate(self._rows(table)):
            try:
                requests.append(self._request(row, ids[place]))
            except TemplateError as error:
                context.reject(place, "PromptFailed", str(error))
            else:
                places.append(place)
        return requests, places

    def _rows(self, table: pa.Table) -> list[dict[str, Any]]:
        wanted = self._wanted()
        rows: list[dict[str, Any]] = table.select([name for name in table.column_names if name in wanted]).to_pylist()
        supplied = {name: value for name, value in self._supplied().items() if name not in table.column_names}
        return [{**supplied, **row} for row in rows] if rows else [supplied] * table.num_rows

    def _wanted(self) -> set[str]:
        """Name the columns that a request is made of, as far as they are there."""
        return {need.column for need in self._first_prompt().needs()}

    def _request(self, row: Mapping[str, Any], row_id: str) -> Request:
        params = {**DEFAULTS, **self.gen_kwargs}
        prompt = self._first_prompt()
        template = self.model_prompt
        if template is not None and (template == RAW_PROMPT or "{prompt}" in template):
            text = prompt.render_text(row)
            raw = text if template == RAW_PROMPT else template.replace("{prompt}", text).strip()
            return Request(self.model_id, row_id, prompt=raw, params=params)
        filled = prompt.render(row)
        shared = prompt.shared_prefix(filled, tuple((name, str(value)) for name, value in self._supplied().items()))
        messages: list[Mapping[str, Any]] = [*filled]
        if _REASONING_MODEL in (template or self.model_id) and all(message["role"] != "system" for message in messages):
            messages.insert(0, _REASONING_SYSTEM)
            shared += len(_REASONING_SYSTEM["content"])
        return Request(self.model_id, row_id, messages=messages, params=params, shared_prefix=shared)

    def _expand(self, expansion: Expansion, place: int, answer: Completion, context: Context) -> None:
        unparsed: list[Choice] = []
        given = 0
        for choice in answer.choices:
            made = self._parse(self._text(choice))
            for values in made:
                expansion.add(place, [*values, *self._told([choice.reasoning])])
            given += len(made)
            if not made:
                unparsed.append(choice)
        if not given:
            text = unparsed[0].text if unparsed else ""
            calls = unparsed[0].tool_calls if unparsed and not text else None
            reason = (
                "the parser found nothing in the reply" if text else "the reply calls tools" if calls else "the reply is empty"
            )
            reason += " (it was cut at max_tokens)" if unparsed and unparsed[0].finish_reason == "length" else ""
            context.reject(place, "NothingParsed", f"{reason}.", raw=text or "", attempts=answer.attempts)
        elif unparsed:
            context.note_unparsed(len(unparsed))

    def _text(self, choice: Choice) -> str:
        """Return the reply as the parser sees it: stripped, and with the stop texts that servers leave out."""
        stop = self.gen_kwargs.get("stop") or ()
        return (choice.text or "").strip() + "".join(stop)

    def _parse(self, text: str) -> list[tuple[str, ...]]:
        options = self.parser_kwargs
        if options.is_custom and options.parsing_pattern:
            return rows_of(parse_pattern(text, options.parsing_pattern, self.output_cols, options.parser_cleanup_tags or ()))
        return rows_of(parse_tags(text, self._tags(), self.output_cols))

    def _tags(self) -> list[tuple[str, str]]:
        prompt = self._first_prompt()
        return list(zip(prompt.start_tags or (), prompt.end_tags or (), strict=False))

    def _filled(self) -> tuple[str, ...]:
        return self.output_cols if self.parser_kwargs.is_custom else self.output_cols[: len(self._tags())]

    def _supplied(self) -> dict[str, Any]:
        """Return what fills the prompt's variable ``num_samples`` where the rows have no such column."""
        own = self._first_prompt().num_samples
        number = own if own is not None else self.batch_kwargs.get("num_samples")
        return {} if number is None else {"num_samples": number}

    def _with_num_samples(self, table: pa.Table) -> pa.Table:
        number = self._first_prompt().num_samples
        if number is None or "num_samples" in table.column_names:
            return table
        import pyarrow as pa

        return set_column(table, "num_samples", pa.array([number] * table.num_rows, pa.int64()))
