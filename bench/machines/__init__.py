"""Guests for tests/machine and the lab: how they are built, started, told what to do and ended."""
