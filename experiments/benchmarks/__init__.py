"""What is measured against the papers' own procedures, one kind of work a file."""
