"""Evaluated weights → the MLflow registry, with aliases `challenger` and `champion`."""
