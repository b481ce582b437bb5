"""``python -m sdg_prefect``."""

from sdg_prefect.cli.app import main

if __name__ == "__main__":
    main()
