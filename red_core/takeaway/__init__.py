"""The classifier to take away: a scikit-learn estimator, its model folder, and a service that serves one."""

from red_core.takeaway.classifier import RedClassifier

__all__ = ["RedClassifier"]
