"""Conditions, branches and rounds do with rows what the page on flow files says, however they are put into each other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.previewing import preview
from sdg_prefect.engine.start import read_seeds_of
from sdg_prefect.rows import ids_of, without_ids

Row = dict[str, Any]
Item = dict[str, Any]
Standing = tuple[Row, tuple[int, ...]]
"""A row, and where it stood when rows parted: first in the outermost branches, last in the innermost."""

CONDITIONS: Mapping[str, Callable[[Row], bool]] = {
    "n > 2": lambda row: row["n"] is not None and row["n"] > 2,
    "not (n < 3)": lambda row: row["n"] is None or row["n"] >= 3,
    "n is none": lambda row: row["n"] is None,
    "n % 2 == 0": lambda row: row["n"] % 2 == 0,
    "6 // n > 2": lambda row: 6 // row["n"] > 2,
    "s in ['a', 'b']": lambda row: row["s"] in ("a", "b"),
    "said is defined and said == 'a3'": lambda row: row.get("said") == "a3",
    "false": lambda _: False,
}
"""Conditions, and what each means. Of a null some can say nothing."""
TEMPLATES: Mapping[str, Callable[[Row], Any]] = {
    "{{ n + 1 }}": lambda row: row["n"] + 1,
    "{{ 9 // n }}": lambda row: 9 // row["n"],
    "{{ s }}{{ n }}": lambda row: f"{row['s']}{row['n']}",
}
"""What fills a column, which fails for some rows."""


def item(block_type: str, /, **config: Any) -> Item:
    return {"block_type": block_type, "block_config": {"block_name": block_type, **config}}


def computing(template: str) -> Item:
    to = {"output_col": "said"} if "s" in template else {"output_col": "n", "type": "integer"}
    return item("ComputeColumn", template=template, **to)


conditions = st.sampled_from(list(CONDITIONS))
endings = st.sampled_from(["reject", "filter"])
plain = st.one_of(
    st.sampled_from(list(TEMPLATES)).map(computing),
    st.sampled_from([2, 3, 5]).map(
        lambda value: item("FilterByValueBlock", filter_column="n", filter_value=value, operation="operator.ne")
    ),
    st.just(item("RowMultiplierBlock", num_samples=2)),
    st.sampled_from([["n"], ["s", "n"]]).map(lambda columns: item("DropDuplicates", columns=columns)),
)


def with_keys(items: st.SearchStrategy[Item]) -> st.SearchStrategy[Item]:
    """Put keys beside some items."""
    keys = st.fixed_dictionaries({}, optional={"when": conditions, "drop_duplicates": st.just(["s", "n"])})
    return st.tuples(items, keys).map(lambda pair: {**pair[0], **pair[1]})


def nested(inner: st.SearchStrategy[Item]) -> st.SearchStrategy[Item]:
    """Put items into blocks that are made of blocks."""
    blocks = st.lists(inner, min_size=1, max_size=2)
    ways = st.lists(st.fixed_dictionaries({"when": conditions, "blocks": blocks}), min_size=1, max_size=2)
    last = st.lists(st.fixed_dictionaries({"blocks": blocks}), max_size=1)
    return with_keys(
        st.one_of(
            st.builds(
                lambda ways, last, rest: item("BranchBlock", branches=[*ways, *last], rest=rest),
                ways,
                last,
                st.just("pass") | endings,
            ),
            st.builds(
                lambda until, most, unmet, blocks: item("RepeatBlock", until=until, max_rounds=most, unmet=unmet, blocks=blocks),
                conditions,
                st.integers(1, 3),
                st.just("keep") | endings,
                blocks,
            ),
            blocks.map(
                lambda blocks: item("IterBlock", num_iters=2, block_type="PipelineBlock", block_kwargs={"blocks": blocks})
            ),
            blocks.map(lambda blocks: item("PipelineBlock", blocks=blocks)),
        )
    )


flows = st.lists(nested(st.recursive(with_keys(plain), nested, max_leaves=4)), min_size=1, max_size=2)
seeds = st.lists(
    st.fixed_dictionaries({"n": st.sampled_from([3, 4, 5, 2, 1, 0, None]), "s": st.sampled_from(["a", "b", "c", None])}),
    min_size=3,
    max_size=7,
).map(lambda rows: [{"n": 3, "s": "a"}, *rows])


@dataclass
class Meaning:
    """What a flow does with rows, said in the plainest way."""

    left: Counter[str] = field(default_factory=Counter)
    """How many rows left it, and why."""

    def of(self, items: Iterable[Item], rows: list[Standing]) -> list[Standing]:
        """Take rows through items, one after another."""
        for one in items:
            kind, config = one["block_type"], one["block_config"]
            if "when" in one:
                rows = self._parted([(one["when"], lambda some, k=kind, c=config: self._block(k, c, some))], "pass", rows)
            else:
                rows = self._block(kind, config, rows)
            rows = self._unlike(one.get("drop_duplicates"), rows)
        return rows

    def _block(self, kind: str, config: Mapping[str, Any], rows: list[Standing]) -> list[Standing]:
        if kind == "ComputeColumn":
            filled = [(self._asked(TEMPLATES[config["template"]], row), row, places) for row, places in rows]
            return [({**row, config["output_col"]: value}, places) for value, row, places in filled if value is not None]
        if kind == "FilterByValueBlock":
            return self._kept([row["n"] not in (None, config["filter_value"]) for row, _ in rows], rows, "filtered")
        if kind == "RowMultiplierBlock":
            return [row for row in rows for _ in range(2)]
        if kind == "DropDuplicates":
            return self._unlike(config["columns"], rows)
        if kind == "PipelineBlock":
            return self.of(config["blocks"], rows)
        if kind == "IterBlock":
            return [row for _ in range(2) for row in self.of(config["block_kwargs"]["blocks"], rows)]
        if kind == "BranchBlock":
            ways = [(way.get("when"), lambda some, b=way["blocks"]: self.of(b, some)) for way in config["branches"]]
            return self._parted(ways, config["rest"], rows)
        return self._repeated(config, rows)

    def _parted(
        self, ways: list[tuple[str | None, Callable[..., list[Standing]]]], rest: str, rows: list[Standing]
    ) -> list[Standing]:
        """Send each row the first way whose condition holds for it, and bring all together in their order."""
        going, made = numbered(rows), list[Standing]()
        for condition, way in ways:
            verdicts = [True if condition is None else self._asked(CONDITIONS[condition], row) for row, _ in going]
            taken = [row for row, holds in zip(going, verdicts, strict=True) if holds]
            going = [row for row, holds in zip(going, verdicts, strict=True) if holds is False]
            made += way(taken) if taken else []
        return together([*made, *self._ended(rest, going)])

    def _repeated(self, config: Mapping[str, Any], rows: list[Standing]) -> list[Standing]:
        """Send rows through a pipeline until a condition holds for each."""
        going, done = numbered(self.of(config["blocks"], rows)), list[Standing]()
        for more in range(1, config["max_rounds"] + (config["unmet"] != "keep")):
            verdicts = [self._asked(CONDITIONS[config["until"]], row) for row, _ in going]
            done += [row for row, holds in zip(going, verdicts, strict=True) if holds]
            going = [row for row, holds in zip(going, verdicts, strict=True) if holds is False]
            if more < config["max_rounds"] and going:
                going = self.of(config["blocks"], going)
        return together([*done, *self._ended(config["unmet"], going)])

    def _ended(self, how: str, rows: list[Standing]) -> list[Standing]:
        return rows if how in ("pass", "keep") else self._kept([False] * len(rows), rows, f"{how}ed")

    def _asked(self, question: Callable[[Row], Any], row: Row) -> Any:
        """Ask something of a row; None, and the row is rejected, where nothing can be said."""
        try:
            return question(row)
        except (TypeError, ZeroDivisionError):
            self.left["rejected"] += 1
            return None

    def _unlike(self, columns: list[str] | None, rows: list[Standing]) -> list[Standing]:
        seen = [tuple(row[name] for name in columns or ()) for row, _ in rows]
        firsts = [columns is None or one not in seen[:place] for place, one in enumerate(seen)]
        return self._kept(firsts, rows, "deduplicated")

    def _kept(self, keep: list[bool], rows: list[Standing], why: str) -> list[Standing]:
        self.left[why] += keep.count(False)
        return [row for row, stays in zip(rows, keep, strict=True) if stays]


def numbered(rows: list[Standing]) -> list[Standing]:
    return [(row, (*places, place)) for place, (row, places) in enumerate(rows)]


def together(rows: list[Standing]) -> list[Standing]:
    return [(row, places[:-1]) for row, places in sorted(rows, key=lambda standing: standing[1][-1])]


def without_nulls(rows: Iterable[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


@settings(max_examples=15)
@given(flows, seeds)
def test_a_flow_does_what_is_written(tmp_path_factory: pytest.TempPathFactory, items: list[Item], rows: list[Row]) -> None:
    folder = tmp_path_factory.mktemp("flow")
    (folder / "flow.yaml").write_text(json.dumps(items))
    options = RunOptions(flow=folder / "flow.yaml", input=rows, storage=str(folder / "store"))
    prepared = prepare(options)
    made = preview(prepared.plan, options, read_seeds_of(options, prepared.spec), "20260101-000000-aaaaaa")
    meaning = Meaning()
    wanted = [row for row, _ in meaning.of(items, [(row, ()) for row in rows])]
    assert without_nulls(without_ids(made.table).to_pylist()) == without_nulls(wanted)
    assert len(set(ids_of(made.table))) == len(wanted)
    counts = made.counts
    assert (counts.rejected, counts.filtered, counts.deduplicated) == tuple(
        meaning.left[why] for why in ("rejected", "filtered", "deduplicated")
    )
