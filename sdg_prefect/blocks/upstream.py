"""Blocks written against sdg_hub's API: a class with ``generate(self, samples, **gen_kwargs)``.

To bring one over, change the import line to ``from sdg_prefect.blocks.upstream import Block, BlockRegistry``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import Field, create_model

from sdg_prefect.blocks.base import Block as NativeBlock
from sdg_prefect.blocks.base import hash_source
from sdg_prefect.errors import FlowError

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

T = TypeVar("T", bound=type)


class Block:
    """The base class of sdg_hub's blocks, as far as a block without a model uses it."""

    def __init__(self, block_name: str) -> None:
        self.block_name = block_name


class BlockRegistry:
    """sdg_hub's registry by name; the same as ``@block``."""

    @classmethod
    def register(cls, name: str) -> Callable[[T], T]:
        """Register a class under a block type."""
        from sdg_prefect.blocks.registry import block

        return block(name)


class UpstreamBlock(NativeBlock):
    """Runs a class with ``generate``. It sees all rows at once, as upstream's do, unless it says ``row_local = True``."""

    scope: ClassVar[Any] = "all"
    leaves_out: ClassVar[Any] = "filtered"
    makes_rows: ClassVar[bool] = True
    is_opaque: ClassVar[bool] = True
    wrapped: ClassVar[type]

    gen_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    """Passed to ``generate``."""

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Construct the wrapped class from the fields and let it generate; of no rows nothing is made."""
        if not len(rows):
            return rows
        fields = self.model_dump(exclude={"gen_kwargs"})
        accepted = inspect.signature(self.wrapped).parameters
        takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
        step = self.wrapped(**{name: value for name, value in fields.items() if takes_all or name in accepted})
        made: Dataset = step.generate(rows, **self.gen_kwargs)
        return made

    def source_key(self) -> str:
        """Hash the wrapped class instead of this one."""
        return hash_source(self.wrapped)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the block type: under this class's own name its module has the wrapped one."""
        return _restored, (type(self).__module__, self.type_name, dict(self))


def _restored(module: str, type_name: str, fields: Mapping[str, Any]) -> NativeBlock:
    from sdg_prefect.blocks.registry import find_block

    import_module(module)
    found = find_block(type_name)
    if found is None:
        raise FlowError(f"the module {module} no longer brings the block type '{type_name}'.")
    return found.model_validate(fields)


def adapt(cls: type, name: str) -> type[NativeBlock]:
    """Return the block class for whatever a user registers.

    Args:
        cls: A subclass of our ``Block`` with ``run`` or ``generate``, or any class with ``generate``.
        name: The block type.

    Raises:
        FlowError: The class has neither method.
    """
    if issubclass(cls, NativeBlock):
        cls.type_name = name
        if cls.run is NativeBlock.run and callable(getattr(cls, "generate", None)):
            _generate_as_run(cls)
        return cls
    if not callable(getattr(cls, "generate", None)):
        raise FlowError(
            f"block type '{name}': {cls.__name__} has neither run(rows, context) nor generate(samples, **gen_kwargs)."
        )
    return _wrap(cls, name)


def _generate_as_run(cls: type[NativeBlock]) -> None:
    """Let a pydantic block written with ``generate`` run as one that sees all rows, unless it says otherwise itself."""

    def run(self: Any, rows: Dataset, context: Context) -> Dataset:  # noqa: ARG001
        made: Dataset = self.generate(rows, **getattr(self, "gen_kwargs", {})) if len(rows) else rows
        return made

    cls.run = run  # type: ignore[method-assign]
    says_columns = cls.writes is not NativeBlock.writes or cls.columns_after is not NativeBlock.columns_after
    said = {name for base in cls.__mro__[: cls.__mro__.index(NativeBlock)] for name in vars(base)}
    defaults = {
        "scope": "row" if getattr(cls, "row_local", False) else "all",
        "leaves_out": "filtered",
        "makes_rows": True,
        "is_opaque": not says_columns,
    }
    for name, value in defaults.items():
        if name not in said:
            setattr(cls, name, value)


def _wrap(cls: type, name: str) -> type[NativeBlock]:
    """Make a block class whose fields are the parameters of the wrapped class's constructor."""
    fields: dict[str, Any] = {}
    extra = "forbid"
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:  # type: ignore[misc]
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = "allow"
        elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name != "block_name":
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (Any, default)
    wrapper: type[UpstreamBlock] = create_model(
        cls.__name__, __base__=UpstreamBlock, __module__=cls.__module__, __doc__=cls.__doc__, **fields
    )
    wrapper.__qualname__ = cls.__qualname__
    wrapper.model_config = {**wrapper.model_config, "extra": extra}  # type: ignore[typeddict-item]
    wrapper.model_rebuild(force=True)
    wrapper.wrapped = cls
    wrapper.type_name = name
    wrapper.scope = "row" if getattr(cls, "row_local", False) else "all"
    return wrapper
