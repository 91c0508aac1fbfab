"""Evaluation: from predictions to counts, scores, thresholds and intervals."""
