"""What a flow expects of its rows: ``expect:`` at its root or at a block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from sdg_prefect.frozen import Frozen

Action = Literal["warn", "quarantine", "fail"]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]


class Gate(Frozen):
    """Something that is expected of rows."""

    is_about_rows: ClassVar[bool] = False
    """True if single rows break it, which can be kept apart."""

    action: Action = "warn"
    """What happens if it does not hold. ``warn``: it is told. ``quarantine``: the rows that break it, or all where it is about
    all rows together, go to ``quarantine.parquet`` of the run, not to the output. ``fail``: the run fails, without an output."""

    def reads(self) -> tuple[str, ...]:
        """Name the columns that it looks at."""
        return ()


class AcceptRate(Gate):
    """The share of rows that pass: at a block those that gave rows, at the root the shares of all blocks multiplied.

    Of branches it is the average, over the rows that took them.
    """

    min: Share
    """Share at least."""


class DuplicateRate(Gate):
    """The share of rows that repeat an earlier one."""

    is_about_rows = True

    max: Share
    """Share at most."""
    columns: tuple[Name, ...] = ()
    """Columns in which rows are compared; all if not given."""

    def reads(self) -> tuple[str, ...]:
        return self.columns


class Length(Gate):
    """The length of texts, in characters."""

    is_about_rows = True

    column: Name
    """Column of texts. Null counts as a text of no length."""
    min: Annotated[int, Field(ge=0)] | None = None
    """Characters at least."""
    max: Annotated[int, Field(ge=0)] | None = None
    """Characters at most."""
    share: Share = 1.0
    """Share of the rows that has to keep to it."""

    @model_validator(mode="after")
    def _has_bounds(self) -> Self:
        return _with_bounds(self, self.min, self.max)

    def reads(self) -> tuple[str, ...]:
        return (self.column,)


class Balance(Gate):
    """How evenly rows are spread over the values of a column."""

    column: Name
    """Column of labels."""
    min: Share | None = None
    """Share of the rarest label at least."""
    max: Share | None = None
    """Share of the most frequent label at most."""
    labels: tuple[str, ...] = ()
    """The labels that there should be; one that no row has counts as rarest, and one that is not among them breaks it."""

    @model_validator(mode="after")
    def _has_bounds(self) -> Self:
        return self if self.labels else _with_bounds(self, self.min, self.max)

    def reads(self) -> tuple[str, ...]:
        return (self.column,)


class Agreement(Gate):
    """The share of rows in which judges agree."""

    columns: tuple[Name, ...] = Field(min_length=2)
    """Columns of verdicts, which have to be equal."""
    min: Share
    """Share at least."""

    def reads(self) -> tuple[str, ...]:
        return self.columns


class Contamination(Gate):
    """The share of rows that have words in a row with an evaluation set.

    As for GPT-3, 13 words that follow one another tell (Brown et al., Language Models are Few-Shot Learners, 2020, appendix C).
    """

    is_about_rows = True

    columns: tuple[Name, ...] = Field(min_length=1)
    """Columns of texts that are looked through."""
    against: Name
    """The evaluation set: a file or dataset as ``--input`` takes it."""
    against_columns: tuple[Name, ...] = ()
    """Columns of it that count; all that hold texts if not given."""
    words: Annotated[int, Field(ge=1)] = 13
    """How many words in a row have to be the same. A text of fewer words counts as one piece."""
    max: Share = 0.0
    """Share at most."""

    @field_validator("against")
    @classmethod
    def _is_there(cls, against: str, info: ValidationInfo) -> str:
        """Find a local file beside the flow."""
        find = getattr(info.context, "find", None)
        is_elsewhere = (
            "://" in against or against.startswith("hf:") or against.endswith("/") or any(sign in against for sign in "*?[")
        )
        return against if find is None or is_elsewhere else str(find(against))

    def reads(self) -> tuple[str, ...]:
        return self.columns


class Drift(Gate):
    """How far columns are from those of the last completed run of the flow: labels by their shares, texts by their lengths.

    Measured is the greatest of the columns' distances, from 0 to 1 (total variation). Without an earlier run it holds.
    """

    max: Share
    """Distance at most."""
    columns: tuple[Name, ...] = ()
    """Columns to look at; all that both runs have if not given."""

    def reads(self) -> tuple[str, ...]:
        return self.columns


def _with_bounds(gate: Gate_, least: float | None, most: float | None) -> Gate_:
    if least is None and most is None:
        raise ValueError("give it 'min', 'max' or both")
    if least is not None and most is not None and least > most:
        raise ValueError(f"'min' is {least:g}, which is above 'max', {most:g}")
    return gate


Gate_ = TypeVar("Gate_", bound=Gate)


def _listed(value: Any) -> Any:
    """Take one gate for a list of one."""
    return (value,) if isinstance(value, dict) else value


class Expectations(Frozen):
    """What is expected of the rows of a flow, or of those that a block made. Each kind is one mapping, or a list of them."""

    accept_rate: Annotated[tuple[AcceptRate, ...], BeforeValidator(_listed)] = ()
    duplicate_rate: Annotated[tuple[DuplicateRate, ...], BeforeValidator(_listed)] = ()
    length: Annotated[tuple[Length, ...], BeforeValidator(_listed)] = ()
    balance: Annotated[tuple[Balance, ...], BeforeValidator(_listed)] = ()
    agreement: Annotated[tuple[Agreement, ...], BeforeValidator(_listed)] = ()
    contamination: Annotated[tuple[Contamination, ...], BeforeValidator(_listed)] = ()
    drift: Annotated[tuple[Drift, ...], BeforeValidator(_listed)] = ()

    def gates(self) -> Iterator[tuple[str, Gate]]:
        """Go through all gates, each with the name of its kind."""
        for name in type(self).model_fields:
            for gate in getattr(self, name):
                yield name, gate

    def __bool__(self) -> bool:
        return any(True for _ in self.gates())


NOTHING = Expectations()
"""What is expected where a flow does not say."""
