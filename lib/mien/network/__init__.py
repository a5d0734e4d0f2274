"""Features that a network learned: architecture, training, inference, fine-tuning, saliency.

Keras 3 on any backend; importing a room of this folder imports Keras, so the command does it late.
Start with `architecture`, then `training`. Imports the root rooms, `mien.data` and
`mien.evaluation`.
"""
