"""One Arrow type for each column, whatever the rows came in: types are widened, never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sdg_prefect.errors import StoreError
from sdg_prefect.rows import concat

if TYPE_CHECKING:
    import pyarrow as pa


class Unlike(ValueError):
    """Two types have no type in common."""


def unified_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return the schema that holds the columns of all, in the order of their first appearance.

    Nulls take any type, whole numbers widen to decimals, lists and objects are joined item by item and key by key.

    Raises:
        StoreError: A column has types that cannot be joined.
    """
    import pyarrow as pa

    types: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            before = types.get(field.name)
            try:
                types[field.name] = plain_type(field.type) if before is None else joined_type(before, field.type)
            except Unlike as error:
                raise StoreError(
                    f"column '{field.name}' has rows of type {before} and rows of type {field.type}.",
                    "Let every block that writes the column give it one type.",
                ) from error
    return pa.schema(list(types.items()))


def together(tables: Sequence[pa.Table]) -> pa.Table:
    """Put the rows of several shards into one table.

    Raises:
        StoreError: A column has types that cannot be joined, such as text in one branch and numbers in another.
    """
    import pyarrow as pa

    try:
        return concat(tables)
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        schema = unified_schema([table.schema for table in tables])
        return pa.concat_tables([conformed(table, schema) for table in tables])


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return a type without its encoding: no dictionaries, views, large offsets or extensions."""
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind):
        return pa.binary()
    if _is_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(field.name, plain_type(field.type)) for field in kind])
    return kind


def joined_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the narrowest type that holds the values of both.

    Raises:
        Unlike: There is none; text and numbers, for one, are never joined.
    """
    import pyarrow as pa

    types = pa.types
    one, other = plain_type(one), plain_type(other)
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if _is_list(one) and _is_list(other):
        return pa.list_(joined_type(one.value_type, other.value_type))
    if types.is_struct(one) and types.is_struct(other):
        return _joined_struct(one, other)
    if types.is_integer(one) and types.is_integer(other):
        unsigned = types.is_unsigned_integer(one) and types.is_unsigned_integer(other)
        return pa.uint64() if unsigned else pa.int64()
    if _is_number(one) and _is_number(other):
        return pa.float64()
    if types.is_timestamp(one) and types.is_timestamp(other) and one.tz == other.tz:
        units = ["s", "ms", "us", "ns"]
        return pa.timestamp(max(one.unit, other.unit, key=units.index), one.tz)
    if types.is_decimal(one) and types.is_decimal(other):
        return pa.unify_schemas([pa.schema([("", one)]), pa.schema([("", other)])], promote_options="permissive").types[0]
    raise Unlike(f"{one} and {other}")


def _joined_struct(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    fields = {field.name: field.type for field in one}
    for field in other:
        fields[field.name] = joined_type(fields[field.name], field.type) if field.name in fields else field.type
    return pa.struct(list(fields.items()))


def plain_table(table: pa.Table) -> pa.Table:
    """Return a table without encodings and metadata, so that equal rows are equal wherever they came from."""
    import pyarrow as pa

    return conformed(table, pa.schema([(field.name, plain_type(field.type)) for field in table.schema]))


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with exactly the columns and types of a schema; what it lacks is null.

    Raises:
        pyarrow.ArrowInvalid: A value does not fit its type exactly.
    """
    import pyarrow as pa

    columns = [
        _conformed_column(table.column(field.name), field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    if not columns:
        return table.select([]).replace_schema_metadata(None)
    return pa.Table.from_arrays(columns, schema=schema)


def _conformed_column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    if column.type == kind:
        return column
    if pa.types.is_null(column.type):
        return pa.chunked_array([pa.nulls(len(column), kind)])
    if _holds_struct(kind):
        # A cast goes by position in some releases of Arrow; values go by key.
        return pa.chunked_array([pa.array(chunk.to_pylist(), kind) for chunk in column.chunks], kind)
    return column.cast(kind)


def _holds_struct(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) or (_is_list(kind) and _holds_struct(kind.value_type))


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
