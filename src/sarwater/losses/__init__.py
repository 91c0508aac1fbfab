"""Losses over valid pixels: pure functions, thin modules, terms of a config, learned weights.

``functional`` holds the formulas, ``modules`` wraps them for a network, ``terms`` is what a config
says about them, ``weighting`` learns their weights, ``distributed`` sums over processes. Nothing is
imported here, so that a config can name ``sarwater.losses.terms`` without paying for torch.
"""
