"""One folder per domain; domains do not import each other."""
