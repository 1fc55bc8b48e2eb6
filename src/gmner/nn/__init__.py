"""Bricks that models share."""
