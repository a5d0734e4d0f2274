"""Drawn faces: a crowd and one person that show nobody, in the layouts of real data.

Start with `dataset`, which writes them; `rendering` paints a face, `anatomy` moves its parts by
Action Units. Imports the root rooms and `mien.data`.
"""
