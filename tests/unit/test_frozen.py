"""The one way of writing a value, from which all keys are made: quick or slow, it has to be the same."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from sdg_prefect.frozen import canonical

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4), max_leaves=20
)


def nested(levels: int) -> Any:
    """Return lists in lists."""
    value: Any = "core"
    for _ in range(levels):
        value = [value]
    return value


@given(VALUES)
@example({"temperature": 0.0001, "top_p": 1e15, "seed": -0.0, "b": 1e-5, "a": 123456789.125})
@example([{"role": "user", "content": "\x7f\u2028 é \ud800"}, 2**70, {"é": 1, "z": 2, "\U0001f600": 3, "\uffff": 4}])
@example(nested(7))
@example(nested(300))
def test_a_value_is_written_as_json_writes_it_with_sorted_keys(value: Any) -> None:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert canonical(value) == text.encode("utf-8", "surrogatepass")
