"""Profiles of an engine under a workload: where its time goes, what it asks the kernel for, and
what it allocates."""
