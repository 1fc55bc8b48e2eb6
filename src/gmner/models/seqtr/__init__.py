"""SeqTR, which writes a box or the outline of a mask as a sequence of coordinates (Zhu et al., ECCV 2022)."""
