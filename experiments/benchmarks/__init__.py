"""Benchmarks: speed compared with the papers' procedures, and attacks on certificates."""
