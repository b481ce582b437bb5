"""A simulated model: a real server on loopback that speaks the OpenAI protocol and says it is simulated."""

from sdg_prefect.simulator.serving import SimulatedModel, serve
from sdg_prefect.simulator.settings import SimulatorSettings

__all__ = ["SimulatedModel", "SimulatorSettings", "serve"]
