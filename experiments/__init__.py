"""Runs and reports: data, the certification run, the results table, and one folder for each paper."""
