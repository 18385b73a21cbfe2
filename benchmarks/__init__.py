"""Measurements; see README.md in this folder. Where the machine matters, they are ratios within one run."""
