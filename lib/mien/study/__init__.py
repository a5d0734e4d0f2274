"""One study: its parameters, what a chapter gets and saves, the comparison, where results are from.

Start with `parameters` (what a study may say, and what each chapter depends on) and `chapter`
(what a notebook calls). Imports all folders above: data, photos, evaluation, synthetic, network,
report.
"""
