"""Runs and reports: data sets, training, certification, results, and one folder for each paper."""
