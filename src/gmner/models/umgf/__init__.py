"""UMGF, a graph of sub-words and visual objects for named entity recognition (Zhang et al., AAAI 2021)."""
