"""Names that commands take for kinds of things; no imports, so that help is quick."""

UNITS = ("db", "linear", "amplitude", "8bit", "other")
"""Values of ``types.Units``."""

LAYOUTS = ("sen1floods11", "etci2021", "folder")
"""Keys of ``datasets.indexing.LAYOUTS``."""

BASELINES = ("otsu", "threshold", "minimum-error")
"""Values of ``evaluation.baselines.Method``."""
