"""What a reader sees: figures, tables, sentences, faces.

Every function draws or words numbers that it is given; none reads a data set or a trained model.
Start with `text`, which writes numbers; `sentences` words those of a chapter, `conclusions` those
of chapter C. Imports the root rooms and `mien.evaluation`.
"""
