"""The tables of numbers in the documents, computed from the committed results."""
