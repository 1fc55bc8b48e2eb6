"""One network a folder: settings, tensors, codec, weights."""
