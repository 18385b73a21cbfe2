"""The article, one step per file: arrays in, arrays out; explicit randomness; no files, no clock, no print."""
