"""Features that people designed, and the models on them: image descriptors, Action Units, SVMs.

Start with `image_svm` (chapter A1) or `measured_svm` (chapter A2). Imports the root rooms,
`mien.data` and `mien.evaluation`.
"""
