"""Requests and answers as JSON, on their way between a worker and the run. Nothing that comes over the network is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sdg_prefect.models.completion import Completion, Failure, Request

_OF_A_REQUEST = tuple(each.name for each in fields(Request))
_OF_A_FAILURE = tuple(each.name for each in fields(Failure))


@dataclass(frozen=True, slots=True)
class Question:
    """What a block asks at one time."""

    requests: tuple[Request, ...]
    again: frozenset[str] = frozenset()
    """Ids of the rows for which earlier completions do not count."""

    def encode(self) -> bytes:
        """Write it. What JSON has no form for is written as text, as it is in the key of a completion."""
        requests = [{name: getattr(request, name) for name in _OF_A_REQUEST} for request in self.requests]
        return json.dumps({"requests": requests, "again": sorted(self.again)}, default=str).encode()

    @classmethod
    def decode(cls, content: bytes) -> Question:
        """Read it.

        Raises:
            ValueError: It is none.
        """
        try:
            read = json.loads(content)
            return cls(tuple(Request(**request) for request in read["requests"]), frozenset(read["again"]))
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from error


def encode_answers(answers: Sequence[Completion | Failure]) -> bytes:
    """Write answers."""
    return json.dumps([_plain(answer) for answer in answers], default=str).encode()


def _plain(answer: Completion | Failure) -> Mapping[str, Any]:
    if isinstance(answer, Failure):
        return {"failure": {name: getattr(answer, name) for name in _OF_A_FAILURE}}
    return {**answer.to_record(), "replayed": answer.replayed}


def decode_answers(content: bytes) -> list[Completion | Failure]:
    """Read answers."""
    return [Failure(**read["failure"]) if "failure" in read else Completion.from_record(read) for read in json.loads(content)]
