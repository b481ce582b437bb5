"""The engine: hands a plan to Prefect. The only package that imports it."""
