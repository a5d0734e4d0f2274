"""Photos and videos: which faces are in them, where their landmarks are, what their blendshapes.

Start with `face_finder` (the faces of one picture); `landmarks` holds the models that it asks,
`face_cache` measures a person's pictures, `reading` lets a model answer, `collection` makes such
pictures out of photos and videos. Imports ``data``.
"""
