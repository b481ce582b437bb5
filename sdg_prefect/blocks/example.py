"""The example of a block type: what a user writes, rows in, rows out. The reference shows it, and the tests run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdg_prefect.blocks.base import Block

NAME = "example"
"""The name of the block in its example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A short example of a block type."""

    config: Mapping[str, Any]
    """The ``block_config``, without the block's name."""
    gen_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Sampling parameters, where the block takes some."""
    rows: Sequence[Mapping[str, Any]] = ()
    """Rows in; none for a block that the plan takes apart."""
    output: Sequence[Mapping[str, Any]] | None = None
    """Rows out; None where they are not told, because a library may give others in its next release."""
    replies: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """What the model says: a part of the prompt to the reply, or to the replies of several choices."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The files that the configuration names, each with its text."""

    @property
    def item(self) -> dict[str, Any]:
        """The keys that stand beside ``block_type`` in a flow."""
        beside = {"gen_kwargs": dict(self.gen_kwargs)} if self.gen_kwargs else {}
        return {"block_config": {"block_name": NAME, **self.config}, **beside}

    @contextmanager
    def built(self, cls: type[Block]) -> Iterator[Block]:
        """Make the block, and keep the files that it names for as long as it is used."""
        from sdg_prefect.blocks.files import FlowFiles

        config = {"block_name": NAME, **self.config}
        if self.gen_kwargs:
            config["gen_kwargs"] = dict(self.gen_kwargs)
        with TemporaryDirectory() as folder:
            for name, text in self.files.items():
                (Path(folder) / name).write_text(text, "utf-8")
            yield cls.model_validate(config, context=FlowFiles(Path(folder)))
