"""The block: a frozen value with the YAML fields of one step, and one method that does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.example import Example
from sdg_prefect.frozen import Frozen, digest

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context
    from sdg_prefect.blocks.templates import Variables
    from sdg_prefect.models.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns at some point of a pipeline, as far as they are known before the run."""

    names: tuple[str, ...] = ()
    open: bool = False
    """True where there may be more columns than are named: no seeds were given, or a block does not say what it writes."""

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def plus(self, names: Iterable[str]) -> Columns:
        """Return these columns and the named ones behind them."""
        return Columns(tuple(dict.fromkeys((*self.names, *names))), self.open)

    def minus(self, names: Iterable[str]) -> Columns:
        """Return these columns without the named ones."""
        gone = set(names)
        return Columns(tuple(name for name in self.names if name not in gone), self.open)


@dataclass(frozen=True, slots=True)
class Need:
    """A column that a block reads, and where that is written."""

    column: str
    file: str = ""
    """The file that names the column, where it is not the flow itself."""
    line: int = 0
    optional: bool = False
    """True where the block can do without, as in ``{% if x is defined %}``."""


def needs_of(variables: Variables) -> list[Need]:
    """Return the columns behind the names of a template or condition."""
    needed = [Need(name) for name in sorted(variables.needed)]
    return [*needed, *(Need(name, optional=True) for name in sorted(variables.optional))]


class Block(Frozen):
    """One step of a pipeline: the fields that a user writes, and ``run``.

    A block holds no client, logger or cache, so that it pickles, hashes and compares; what is live comes through the context.
    Subclass it, give the fields types and docstrings, and register it with ``@block("Name")``.
    """

    type_name: ClassVar[str] = ""
    """The registered name."""
    version: ClassVar[int] = 1
    """Raised when the same fields and rows give other rows than before, so that old checkpoints are not reused."""
    scope: ClassVar[Literal["row", "all"]] = "row"
    """``row``: each output row depends on one input row, so shards stream. ``all``: needs every row at once, a barrier."""
    leaves_out: ClassVar[Literal["nothing", "filtered", "deduplicated"]] = "nothing"
    """What an input row is called that gives no output row on purpose."""
    makes_rows: ClassVar[bool] = False
    """True if one input row may give several output rows."""
    is_opaque: ClassVar[bool] = False
    """True if the block does not say what it reads and writes, so that columns cannot be tracked beyond it."""
    family: ClassVar[str] = "Other blocks"
    """The heading under which the reference describes the block."""
    example: ClassVar[Example | None] = None
    """A short example, which the reference shows and ``check_example`` runs."""
    ignores_unknown: ClassVar[bool] = False
    """True if fields that the block does not have are told and left out; otherwise they are a problem."""
    packages: ClassVar[Mapping[str, str]] = {}
    """Modules that the block needs when it runs and that may be missing, each with the extra or the command that brings it."""

    block_name: str = Field(min_length=1)
    """Name of the step, shown everywhere."""

    def run(self, rows: Dataset, context: Context) -> Dataset | list[Dataset]:
        """Turn rows into rows.

        Args:
            rows: The rows of a shard, or all rows where ``scope`` is ``all``. They carry their ids in a reserved column, which
                has to come along: an output row keeps the id of the input row that it is made of.
            context: Completes prompts, rejects rows, draws seeded random numbers.

        Returns:
            The rows, in the order of their input rows; or a list of parts, where part 1 of all shards comes before part 2 of any.
        """
        raise TypeError(f"block type '{type(self).type_name}' has no run method; give it run(self, rows, context)")

    def own_scope(self) -> Literal["row", "all"]:
        """Return the block's ``scope``; one whose fields decide it overrides this."""
        return self.scope

    def reads(self) -> Iterable[str | Need]:
        """Name the columns that the block needs."""
        return ()

    def writes(self) -> Iterable[str]:
        """Name the columns that the block adds or replaces."""
        return ()

    def columns_after(self, before: Columns) -> Columns:
        """Return the columns that the block leaves, in order."""
        return Columns((), True) if self.is_opaque else before.plus(self.writes())

    def doubts(self, before: Columns) -> Iterable[str]:
        """Say what is suspicious about the block where it stands; each becomes a warning."""
        return ()

    def model_ids(self) -> Iterable[str]:
        """Name the models that the block calls."""
        return ()

    def needed_packages(self) -> Mapping[str, str]:
        """Name the modules that the block needs when it runs, each with the extra or the command that brings it."""
        return self.packages

    def own_endpoints(self) -> Mapping[str, Endpoint]:
        """Return endpoints that the block's own fields name, by model id."""
        return {}

    def calls_per_row(self) -> int:
        """Return how many calls one input row takes; 0 for a block that calls no model."""
        return 1 if any(True for _ in self.model_ids()) else 0

    def calls_range(self) -> tuple[int, int, int | None]:
        """Return the least, the likely and the most calls that one input row takes; None for the most where nothing bounds it."""
        calls = self.calls_per_row()
        return calls, calls, calls

    def rows_per_row(self) -> tuple[int, int | None]:
        """Return how many rows one input row probably gives, by the fields alone, and the most; None where nothing bounds it."""
        return (1, None) if self.makes_rows else (1, 1)

    def most_tokens_per_call(self) -> int | None:
        """Return how many tokens the reply to one call may have; None where nothing bounds it."""
        return None

    def key(self, models: Mapping[str, str]) -> str:
        """Return the hash of what decides the block's output for given rows.

        Args:
            models: The served model behind each model id.

        The name of the block is not in it, nor its place: a renamed or moved block finds its earlier work.
        """
        return digest(self.key_parts(models), size=10)

    def key_parts(self, models: Mapping[str, str]) -> dict[str, Any]:
        """Return what decides the block's output for given rows, by names that people know.

        Args:
            models: The served model behind each model id.
        """
        return {
            "block_type": type(self).type_name,
            "version of the block type": type(self).version,
            "served model": {model_id: models.get(model_id, model_id) for model_id in self.model_ids()},
            "source code": self.source_key(),
            **self.model_dump(mode="json", exclude={"block_name"}),
        }

    def ask_key(self, models: Mapping[str, str]) -> str:
        """Return the key under which completions of the block are kept: what is asked and whom, not what is made of the replies.

        Args:
            models: The served model behind each model id.
        """
        return digest(
            type(self).type_name, [models.get(model_id, model_id) for model_id in self.model_ids()], self.asks(), size=10
        )

    def asks(self) -> object:
        """Return the part of the configuration that decides what a model is asked, as JSON-like values."""
        return {}

    def source_key(self) -> str:
        """Return the hash of the code of a user's own block; empty for the built-in ones, whose version stands for it."""
        return "" if type(self).__module__.startswith("sdg_prefect.") else hash_source(type(self))


def hash_source(cls: type) -> str:
    """Hash the source text of a class; empty where there is none, as for a class typed at a prompt."""
    import inspect

    try:
        return digest(inspect.getsource(cls), size=8)
    except (OSError, TypeError):
        return ""
