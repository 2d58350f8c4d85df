"""Run the command line: `python -m depot`."""

from depot.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
