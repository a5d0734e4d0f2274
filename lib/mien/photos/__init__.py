"""From photos to faces: where the faces of a picture are.

Start with `face_finder`. Imports the root rooms and `mien.data`.
"""
