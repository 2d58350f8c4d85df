"""What every test may use, here and in reference/tests: see tests/support/fixtures.py."""

pytest_plugins = ("support.fixtures",)
