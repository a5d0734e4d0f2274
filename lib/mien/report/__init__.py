"""What a reader sees: figures, tables, sentences, faces, HTML.

Every function draws or words numbers that it is given; none reads a data set or knows a model.
Start with `text` (sentences) or `figures`. Imports the root rooms and `mien.evaluation`.
"""
