"""Rating faces by hand, blind and at once on disk, and labels from what raters agree on.

`ratings` reads and writes ``ratings.csv`` and ``labels.csv``, `widget` shows one face at a time in
a notebook (``notebooks/label.ipynb``). Start with `ratings`. Imports the root rooms, `mien.data`,
`mien.evaluation`, `mien.synthetic` and `mien.study`.
"""
