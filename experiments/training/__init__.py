"""Training base functions, and finding what was trained."""
