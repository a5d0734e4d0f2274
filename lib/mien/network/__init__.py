"""Features that a network learned: architecture, training, inference, fine-tuning, saliency.

Keras 3 on any backend; importing a room of this folder imports Keras, so the command does it late.
Start with `architecture`, then `training`. Imports the root rooms, `mien.data`,
`mien.photos` and `mien.evaluation`.
"""

from pathlib import Path

#: The network that comes with mien: its weights, and how their training went.
SHIPPED = Path(__file__).parent / "weights" / "fer2013.npz"
SHIPPED_CURVE = SHIPPED.with_name("fer2013.curve.json")
