"""From a study to its report: which chapters run, in which process, and their pages.

Start with `scheduler`; `record` says how every chapter stands and why it would run again, and
`pages` makes a report of executed notebooks with `html`. Imports `mien.study`, `mien.report` and
what they import.
"""

import sys

# Else jsonschema, which nbformat imports, compiles a grammar of web addresses that no notebook
# needs: 1.8 seconds in every process of a chapter (rfc3987-syntax 1.1).
sys.modules.setdefault("rfc3987_syntax", None)
