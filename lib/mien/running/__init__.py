"""From a study to its report: which chapters run, in which process, and their pages.

Start with `scheduler`; `staleness` says why a chapter runs again. Imports `mien.study`,
`mien.report` and what they import.
"""
