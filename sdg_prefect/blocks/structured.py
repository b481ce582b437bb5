"""Ask a model for JSON that matches a schema, and make typed columns of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.asking import Asked, answered, prompt_request, requests_for
from sdg_prefect.blocks.base import Block, Columns, Need
from sdg_prefect.blocks.corrections import Reading, answers_to, correction
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.json_replies import Unreadable, read_reply
from sdg_prefect.blocks.json_types import arrow_type, fitted, resolved
from sdg_prefect.blocks.prompts import PromptFile
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.sampling import DEFAULTS, GenKwargs
from sdg_prefect.blocks.schemas import ReplySchema, SchemaField, schema_of_type
from sdg_prefect.errors import did_you_mean
from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_PREFACE = (
    "Reply with JSON alone, without a code fence and without a word before or after it. It has to match this JSON Schema:\n"
)


@block("StructuredLLMBlock")
class StructuredLLMBlock(Block):
    """Ask a model about each row for JSON that matches a schema, and make columns of it that have the schema's types.

    The schema is sent as ``response_format``, or as the endpoint's ``json_schema`` says, and is told in the prompt too. JSON
    with small faults is repaired. Where a reply does not match, the model is told what is wrong and asked again; if it still
    does not, the row is rejected, with the reply and the reason. Each property of the reply becomes a column: numbers,
    texts, true or false, lists and objects as such, and what may be of several types as JSON text. Of the schema's formats
    dates, times, mail and IP addresses and UUIDs are checked.
    """

    family: ClassVar[str] = "Ask a model"
    makes_rows: ClassVar[bool] = True
    example: ClassVar[Example] = Example(
        config={
            "config_path": "review.yaml",
            "model_id": "teacher",
            "output_schema": {
                "type": "object",
                "properties": {"rating": {"type": "integer", "minimum": 1, "maximum": 5}, "words": {"type": "array", "items": {"type": "string"}}},  # noqa: E501
                "required": ["rating", "words"],
            },
        },
        files={"review.yaml": "generation: |\n  Rate this review, and name its telling words.\n  {{ review }}\n"},
        rows=[{"review": "Warm and witty."}],
        replies={"Warm": '{"rating": 5, "words": ["warm", "witty"]}'},
        output=[{"review": "Warm and witty.", "rating": 5, "words": ["warm", "witty"]}],
    )  # fmt: skip

    config_path: PromptFile
    """The prompt file. Its tags have no effect."""
    model_id: str = Field(min_length=1)
    """The model, by the name that ``models:`` or the endpoint knows."""
    output_schema: SchemaField | None = None
    """The JSON Schema of the reply, in place, or the name of a YAML or JSON file with one."""
    output_type: str | None = None
    """In place of a schema: a pydantic class of an installed package, by the name or the dotted name in its entry point of the
    group ``sdg_prefect.types``."""
    output_cols: tuple[str, ...] = ()
    """Properties of the reply that become columns; all of them if not given."""
    output_col: str | None = None
    """One column for the whole reply in place of one for each property; needed where the reply is no object."""
    rows_from: str | None = None
    """A property that is a list of objects: each of them gives a row, and its properties are the columns."""
    tell_schema: bool = True
    """False to leave the schema out of the prompt, where the endpoint holds the model to it."""
    corrections: Annotated[int, Field(ge=0, le=5)] = 1
    """How often at most a model is told what is wrong with its reply, and asked again."""
    gen_kwargs: GenKwargs = Field(default_factory=dict)
    """Sampling parameters, over the defaults temperature 0 and max_tokens 4096."""

    @model_validator(mode="before")
    @classmethod
    def _load_type(cls, data: Any) -> Any:
        """Make the schema of a class, so that an edited class is another block."""
        if not isinstance(data, dict) or not isinstance(data.get("output_type"), str):
            return data
        given = data.get("output_schema")
        if given is not None and getattr(given, "type_name", None) != data["output_type"]:
            raise PydanticCustomError("schema", "give 'output_schema' or 'output_type', not both.")
        return {**data, "output_schema": schema_of_type(data["output_type"])}

    @model_validator(mode="after")
    def _columns_fit(self) -> StructuredLLMBlock:
        if self.output_schema is None:
            raise PydanticCustomError("schema", "needs an 'output_schema' or an 'output_type'.")
        if self.output_col is not None:
            if self.output_cols or self.rows_from:
                raise PydanticCustomError(
                    "schema", "'output_col' takes the whole reply: leave 'output_cols' and 'rows_from' away."
                )
            return self
        known = self._properties
        if not known:
            where = f"'{self.rows_from}' is no list of objects" if self.rows_from else "the reply is no object"
            raise PydanticCustomError(
                "schema", "{where} with properties; name an 'output_col' for the whole of it.", {"where": where}
            )
        for name in self.output_cols:
            if name not in known:
                said = {"name": name, "hint": did_you_mean(name, known)}
                raise PydanticCustomError("schema", "the schema has no property '{name}'. {hint}", said)
        return self

    @property
    def _schema(self) -> ReplySchema:
        assert self.output_schema is not None
        return self.output_schema

    @property
    def _properties(self) -> Mapping[str, Any]:
        """The properties of what becomes a row."""
        root = self._schema.schema_
        part = resolved(root, root)
        if self.rows_from is not None:
            listed = resolved(part.get("properties", {}).get(self.rows_from), root)
            part = resolved(listed.get("items"), root)
        properties: Mapping[str, Any] = part.get("properties", {})
        return properties

    @cached_property
    def _kinds(self) -> dict[str, pa.DataType]:
        """The columns and their types."""
        root = self._schema.schema_
        if self.output_col is not None:
            return {self.output_col: arrow_type(root, root)}
        properties = self._properties
        return {name: arrow_type(properties[name], root) for name in self.output_cols or properties}

    def reads(self) -> Iterable[Need]:
        return self.config_path.needs()

    def writes(self) -> Iterable[str]:
        return (self.output_col,) if self.output_col is not None else self.output_cols or tuple(self._properties)

    def doubts(self, before: Columns) -> Iterable[str]:
        if "response_format" in self.gen_kwargs:
            yield "'response_format' in gen_kwargs takes the place of the one that 'output_schema' makes."

    def model_ids(self) -> Iterable[str]:
        return (self.model_id,)

    def most_tokens_per_call(self) -> int | None:
        params = {**DEFAULTS, **self.gen_kwargs}
        return int(params.get("max_completion_tokens") or params["max_tokens"]) * int(params.get("n") or 1)

    def calls_range(self) -> tuple[int, int, int | None]:
        return 1, 1, 1 + self.corrections

    def rows_per_row(self) -> tuple[int, int | None]:
        replies = int(self.gen_kwargs.get("n") or 1)
        return replies, None if self.rows_from is not None else replies

    def asks(self) -> object:
        return [self._schema.text, self.tell_schema, [message.model_dump() for message in self.config_path.messages]]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Ask, read, and let the model correct what does not match."""
        table = to_table(rows)
        wanted = [need.column for need in self.config_path.needs()]
        places, requests = requests_for(table, wanted, self._request, context)
        waiting = answered(places, requests, answers_to(requests, context), context)
        made: dict[int, list[tuple[Any, ...]]] = {}
        for left in range(self.corrections, -1, -1):
            waiting = self._settle(waiting, made, left, context)
        return to_dataset(self._table(table, made))

    def _request(self, row: Mapping[str, Any], row_id: str) -> Request:
        schema = self._schema
        form = {"name": "reply", "schema": dict(schema.schema_), "strict": schema.is_strict}
        params = {"response_format": {"type": "json_schema", "json_schema": form}, **self.gen_kwargs}
        preface = _PREFACE + schema.text if self.tell_schema else ""
        return prompt_request(self.config_path, self.model_id, row, row_id, params, preface)

    def _settle(
        self, waiting: Sequence[Asked], made: dict[int, list[tuple[Any, ...]]], left: int, context: Context
    ) -> list[Asked]:
        """Take what matches, and ask again about the rest; with no correction left reject it."""
        places, requests = [], []
        for asked in waiting:
            reading = self._read(asked.answer)
            if reading.values:
                made[asked.place] = [values for value in reading.values for values in self._rows_of(value)]
                if reading.unread:
                    context.note_unparsed(reading.unread)
            elif left and reading.faulty is not None and not reading.is_cut:
                places.append(asked.place)
                requests.append(correction(asked.request, reading))
            else:
                text = (reading.faulty.text if reading.faulty else None) or ""
                context.reject(asked.place, "SchemaMismatch", reading.fault, raw=text, attempts=asked.answer.attempts)
        return answered(places, requests, context.complete(requests), context)

    def _read(self, answer: Completion) -> Reading:
        """Tell the choices that match the schema from those that do not."""
        values, faults = [], []
        for choice in answer.choices:
            try:
                value = read_reply(choice, self._schema)
                self._rows_of(value)
                values.append(value)
            except Unreadable as error:
                faults.append((str(error), choice, error.is_cut))
        if not faults:
            return Reading(tuple(values), "the reply is empty.")
        fault, choice, is_cut = faults[0]
        return Reading(tuple(values), fault, choice, is_cut, len(faults))

    def _rows_of(self, value: Any) -> list[tuple[Any, ...]]:
        """Return the values of the columns, for each row that a reply gives.

        Raises:
            Unreadable: A column cannot hold them, or the list that gives the rows is empty.
        """
        kinds = self._kinds
        try:
            if self.output_col is not None:
                return [(fitted(value, kinds[self.output_col]),)]
            parts = [value] if self.rows_from is None else value.get(self.rows_from) or ()
            made = [tuple(fitted((part or {}).get(name), kind) for name, kind in kinds.items()) for part in parts]
        except ValueError as error:
            raise Unreadable(f"{error}.") from error
        if not made:
            raise Unreadable(f"$.{self.rows_from}: the list is empty.")
        return made

    def _table(self, table: pa.Table, made: Mapping[int, list[tuple[Any, ...]]]) -> pa.Table:
        """Return the input rows, repeated as needed, with the columns in their places or behind."""
        import pyarrow as pa

        places = [place for place in sorted(made) for _ in made[place]]
        values = [row for place in sorted(made) for row in made[place]]
        table = table.take(pa.array(places, pa.int64()))
        for number, (name, kind) in enumerate(self._kinds.items()):
            table = set_column(table, name, pa.array([row[number] for row in values], kind))
        return table
