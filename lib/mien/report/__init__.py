"""What a reader sees: figures, tables, sentences, faces, HTML.

Every function draws or words numbers that it is given; none reads a data set or knows a model.
`sentences` is the only room of mien that makes any; `text` writes the numbers in them. Imports
the root rooms and `mien.evaluation`.
"""
