"""ALBEF (Li et al., NeurIPS 2021), fine-tuned for visual entailment: does a picture show what an expression says?"""
