"""Micro-benchmarks: building them, running two builds side by side, and judging the difference."""
