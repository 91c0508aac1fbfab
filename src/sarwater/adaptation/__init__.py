"""Carrying a model to data without labels."""
