"""OFA, one sequence-to-sequence network for visual entailment and visual grounding (Wang et al., ICML 2022; ofa.md)."""
