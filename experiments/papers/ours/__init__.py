"""Figures of what is new here."""
