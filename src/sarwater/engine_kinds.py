"""Names of what runs a network; no imports, so that every command can list them at once."""

ENGINES = ("auto", "openvino", "torch")
"""Programs that run networks; ``auto`` is torch on a GPU and OpenVINO on a CPU."""

PRECISIONS = ("auto", "float32", "bfloat16")
"""In what they multiply; ``auto`` is bfloat16 where the hardware does."""
