"""mien: reading one person's facial expression, by designed and by learned features."""
