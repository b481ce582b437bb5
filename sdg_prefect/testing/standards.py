"""What every block type has to satisfy, checked on an example of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from typing import TYPE_CHECKING

from sdg_prefect.blocks import Block, Columns, Need, find_block
from sdg_prefect.blocks.structure import StructureBlock
from sdg_prefect.blocks.upstream import UpstreamBlock
from sdg_prefect.errors import SdgError
from sdg_prefect.frozen import field_docs
from sdg_prefect.rows import ROW_ID, ids_of
from sdg_prefect.testing.running import BlockResult, Rows, run_block, with_row_ids
from sdg_prefect.testing.script import ResumedReplies, Script, Stopped

if TYPE_CHECKING:
    import pyarrow as pa


def check_block(block: Block, rows: Rows = (), replies: Script = (), *, elsewhere: bool = True) -> list[str]:
    """Check that a block keeps to what the framework relies on.

    Its type is registered and documented. It pickles, and its key is the same in another process. On the rows: it reads and
    leaves the columns that it says it does, accounts for every row, gives the same rows again and, where it is row-local, the
    same rows for any size of shard; stopped halfway and run again, it gives the same rows and pays for nothing twice; no rows are
    no trouble.

    Args:
        block: An example of the block type.
        rows: Rows that it can work on, among them awkward ones.
        replies: What the model says; see ``run_block``.
        elsewhere: False to leave out the check in another process, which takes about a second.

    Returns:
        What is wrong, one sentence each; empty if nothing is.
    """
    found = [*_undocumented(type(block)), *_without_schema(type(block))]
    if elsewhere:
        found += _unstable(block)
    if not isinstance(block, StructureBlock):
        found += _misbehaviour(block, with_row_ids(rows), replies)
    return found


def _undocumented(cls: type[Block]) -> Iterator[str]:
    if not cls.type_name or find_block(cls.type_name) is not cls:
        yield f"{cls.__name__} is not registered: put @block('Name') above the class."
    if not (cls.__doc__ or "").strip() or cls.__doc__ == Block.__doc__:
        yield f"{cls.__name__} has no docstring."
    # The fields of a class in the style of sdg_hub are the parameters of its constructor, which have no docstrings.
    documented = UpstreamBlock if issubclass(cls, UpstreamBlock) else cls
    docs = field_docs(documented)
    for name in documented.model_fields:
        if not docs.get(name):
            yield f"the field '{name}' has no docstring under it."


def _without_schema(cls: type[Block]) -> Iterator[str]:
    try:
        json.dumps(cls.model_json_schema())
    except (TypeError, ValueError) as error:
        yield f"its fields have no JSON Schema: {error}"


def _unstable(block: Block) -> Iterator[str]:
    try:
        ((copy, key),) = copy_elsewhere([block])
    except Exception as error:  # noqa: BLE001 - whatever pickling raises is the finding
        yield f"it does not pickle: {type(error).__name__}: {error}"
        return
    if copy != block:
        yield "its copy in another process is not equal to it."
    if key != block.key({}):
        yield "its key is another one in another process."


def copy_elsewhere(blocks: Sequence[Block]) -> list[tuple[Block, str]]:
    """Send blocks to a fresh interpreter, whose hash seed is another; return them as they come back, with their keys there."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_copy_and_key, blocks))


def _copy_and_key(block: Block) -> tuple[Block, str]:
    return block, block.key({})


def _misbehaviour(block: Block, table: pa.Table, replies: Script) -> Iterator[str]:
    """Run the block in several ways on the same rows."""

    def run(rows: pa.Table, shard_size: int | None = None) -> BlockResult:
        return run_block(block, rows, replies, shard_size=shard_size)

    needed = [need.column for need in _needs(block) if not need.optional]
    if missing := [name for name in needed if name not in table.column_names]:
        yield f"the rows lack columns that it reads: {', '.join(missing)}."
        return
    if not table.num_rows:
        return
    try:
        whole = run(table)
        yield from _wrong_columns(block, table, whole)
        yield from _differences(block, table, whole, run)
        yield from _lost_by_a_stop(block, table, whole, replies)
    except SdgError as error:
        yield str(error)


def _needs(block: Block) -> Sequence[Need]:
    return [read if isinstance(read, Need) else Need(read) for read in block.reads()]


def _wrong_columns(block: Block, table: pa.Table, whole: BlockResult) -> Iterator[str]:
    before = Columns(tuple(name for name in table.column_names if name != ROW_ID))
    after = block.columns_after(before)
    if not after.open and list(after.names) != whole.columns:
        yield f"it says that it leaves the columns {', '.join(after.names)}, but it leaves {', '.join(whole.columns)}."


def _differences(
    block: Block, table: pa.Table, whole: BlockResult, run: Callable[[pa.Table, int | None], BlockResult]
) -> Iterator[str]:
    again = run(table, None)
    if not _alike(again, whole):
        yield "it gives other rows when it runs again."
    if _asked(again) != _asked(whole):
        yield "it asks something else when it runs again, so that a run which goes on would pay twice."
    if block.own_scope() == "row" and any(not _alike(run(table, size), whole) for size in (1, 2)):
        yield "it gives other rows when they are cut into other shards, although it is row-local."
    if block.own_scope() == "row" and not _is_ordered(table, whole):
        yield "its rows are not in the order of their input rows."
    none = run(table.slice(0, 0), None)
    if none.columns != whole.columns and not block.is_opaque:
        yield f"it leaves the columns {', '.join(none.columns)} of no rows, and {', '.join(whole.columns)} otherwise."
    if not block.is_opaque:
        read = {need.column for need in _needs(block)}
        try:
            bare = run(table.drop_columns([name for name in table.column_names if name not in read and name != ROW_ID]), None)
        except Exception as error:  # noqa: BLE001 - a missing column has many names
            yield f"it fails without the columns that it does not name in reads(): {type(error).__name__}: {error}."
        else:
            if bare.ids != whole.ids:
                yield "it gives other rows without the columns that it does not name in reads()."


def _lost_by_a_stop(block: Block, table: pa.Table, whole: BlockResult, replies: Script) -> Iterator[str]:
    """Stop the block after half of its calls, and run it again with what the ledger has by then."""
    paid = whole.counts.llm_calls
    if not paid:
        return
    answers = ResumedReplies(replies, paid // 2)
    try:
        run_block(block, table, answers)
    except Stopped:
        answers.go_on()
    again = run_block(block, table, answers)
    if repr(again.table.to_pylist()) != repr(whole.table.to_pylist()) or repr(again.rejects) != repr(whole.rejects):
        yield "it gives other rows when it was stopped and goes on with the replies that were kept."
    if answers.paid > paid:
        yield "it pays for replies again when it was stopped and goes on."


def _is_ordered(table: pa.Table, whole: BlockResult) -> bool:
    places = {row_id: place for place, row_id in enumerate(ids_of(table))}
    order = [places[parent] for parent in whole.parents]
    return sum(after < before for before, after in pairwise(order)) < max(1, whole.parts)


def _asked(result: BlockResult) -> list[str]:
    """Return the keys under which the completions of a run are found again."""
    return sorted(request.key("") for request in result.requests)


def _alike(one: BlockResult, other: BlockResult) -> bool:
    """True if two results hold the same rows under the same ids, with the same counts and rejects."""
    same_rows = repr(one.table.to_pylist()) == repr(other.table.to_pylist())
    return same_rows and repr(one.rejects) == repr(other.rejects) and one.counts == other.counts
