"""Ways to send the same message to many people, one module each, each run in its own process.

A module has ``make(task) -> Contender``; ``benchmarks.child`` imports the one it is asked for, so
that no contender pays for the imports of another.
"""
