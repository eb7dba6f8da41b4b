"""Benchmarks: every claim of the documentation, as a table that anyone can make again."""
