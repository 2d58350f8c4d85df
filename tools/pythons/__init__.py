"""`make pythons`: the tests on each Python that the package is for."""
