"""What is measured, one module each, each run in a process of its own.

A module has ``make(task) -> Workload``; ``python -m benchmarks.workloads`` imports the one it is
asked for, so that no contender pays for the imports of another.
"""
