"""What a reader sees: figures, tables, sentences, faces.

Every function draws or words numbers that it is given; none reads a data set or knows a model.
`sentences` words the numbers of a chapter, `conclusions` those of chapter C; `text` writes the
numbers in them. Imports the root rooms and `mien.evaluation`.
"""
