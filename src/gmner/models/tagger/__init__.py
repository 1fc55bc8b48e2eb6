"""A text tagger with a CRF."""
