"""The networks, and the checkpoints that carry them."""
