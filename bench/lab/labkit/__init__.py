"""The laboratory: namespaces, engines, measurements and the table of ratios."""
