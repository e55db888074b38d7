"""What is on disk of a run: its folder, its table, its record."""
