"""The log of runs, which Prefect shows."""

from __future__ import annotations

import logging

logger = logging.getLogger("sdg_prefect.run")
logger.setLevel(logging.INFO)  # Prefect's handlers see what the logger lets through
logging.getLogger("EventsWorker").setLevel(logging.ERROR)  # at exit it warns of the events that it is still sending
