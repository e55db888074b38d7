"""From finished runs to figures, tables and pages."""
