"""How fast Darkroom is beside what users would pick instead: `python -m tests.benchmarks`."""
