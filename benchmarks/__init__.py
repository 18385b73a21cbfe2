"""Measurements, as ratios within one run where a machine matters. See README.md in this folder."""
