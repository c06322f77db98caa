"""Weights → before/after answers, figures and the gate."""
