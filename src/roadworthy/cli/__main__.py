"""`python -m roadworthy.cli` is `roadworthy`."""

import sys

from roadworthy.cli import main

if __name__ == "__main__":
    sys.exit(main())
