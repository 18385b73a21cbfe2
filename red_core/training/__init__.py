"""From texts to fitted classifiers: embeddings, features, samples, model selection, cross-fitting, fit."""

from red_core.training.embeddings import embed_missing
from red_core.training.fit import train
from red_core.training.model import Model, load_model, model_file
from red_core.training.samples import ValidSamples, valid_samples

__all__ = ["Model", "ValidSamples", "embed_missing", "load_model", "model_file", "train", "valid_samples"]
