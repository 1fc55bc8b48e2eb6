"""Grounded and segmented multimodal named entity recognition.

A post (text and a picture) goes in; its named entities come out, each with its span, type, boxes and masks::

    import gmner

    lite = gmner.load("lite")
    [post] = lite.predict([gmner.Example(text="Grace Hopper of the US Navy", image="hopper.jpg")])
    for entity in post.entities:
        print(entity.text, entity.type, entity.boxes)
"""

from gmner.types import Box, Candidate, Entity, Example, Mask, Prediction

__version__ = "0.1.0"

__all__ = ["Box", "Candidate", "Entity", "Example", "Mask", "Prediction"]
