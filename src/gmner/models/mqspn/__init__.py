"""MQSPN: entities, their types and their regions as one set, found by queries (Tang et al., AAAI 2025).

`model.py` is the network of the paper, `released.py` the one that the authors' code computes; they differ much
(docs/papers.md). Heads, matching, losses and codec are shared. Sources: specs/mqspn_paper.md and specs/mqspn.md.
"""
