"""Mapping: from a scene and a model to files that a GIS opens."""
