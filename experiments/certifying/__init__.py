"""Certification runs: from settings to rows."""
