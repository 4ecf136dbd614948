"""The checks behind tests/style/run, by subject."""
