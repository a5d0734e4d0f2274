"""Many studies at once: a grid of parameters, its runs, what they scored, their page.

Start with `planning`. Imports `mien.running` and what it imports.
"""
