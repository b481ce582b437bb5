"""Which kinds of agents there are: our own, and those that installed packages bring."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points

from sdg_prefect.errors import did_you_mean
from sdg_prefect.models.services.agents import Agent, GenericHTTP, Langflow, LangGraph

GROUP = "sdg_prefect.agents"
"""Entry point group of packages that bring kinds of agents: ``name = "package.module:Class"``."""

_OWN: dict[str, type[Agent]] = {"langflow": Langflow, "langgraph": LangGraph, "generic_http": GenericHTTP}


class UnknownAgent(ValueError):
    """There is no such kind of agent, or its package does not work."""


@lru_cache(maxsize=256)
def find_agent(kind: str) -> type[Agent]:
    """Return the class of a kind of agent.

    Raises:
        UnknownAgent: Nobody brings it, or what an installed package brings is none.
    """
    if kind in _OWN:
        return _OWN[kind]
    brought = entry_points(group=GROUP)
    entry = next((one for one in brought if one.name == kind), None)
    if entry is None:
        hint = did_you_mean(kind, [*_OWN, *(one.name for one in brought)])
        raise UnknownAgent(f"there is no kind of agent '{kind}'. {hint}".rstrip())
    try:
        found = entry.load()
    except Exception as error:
        raise UnknownAgent(f"the kind of agent '{kind}' cannot be imported: {type(error).__name__}: {error}.") from error
    if not (isinstance(found, type) and issubclass(found, Agent)):
        raise UnknownAgent(f"'{entry.value}', which is to be the kind of agent '{kind}', is no subclass of Agent.")
    return found
