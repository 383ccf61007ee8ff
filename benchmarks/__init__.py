"""The numbers of docs/benchmarks.md, measured side by side: ``python -m benchmarks``."""
