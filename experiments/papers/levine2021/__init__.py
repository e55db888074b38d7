"""Deterministic smoothing against l1 (Levine and Feizi 2021): its tables and figures beside what the paper prints."""
