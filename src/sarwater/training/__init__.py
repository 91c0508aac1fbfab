"""Training: from labelled chips to a model, in a run that can be killed and resumed."""
