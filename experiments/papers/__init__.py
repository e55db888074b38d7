"""One folder a paper: its tables, figures, printed numbers and claims."""
