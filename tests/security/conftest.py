"""The folder of a user and the server of Prefect, as for other tests of whole runs."""

from tests.e2e.conftest import history, model, project

__all__ = ["history", "model", "project"]
