"""A reader of words that says whether a name can be seen in a picture and where, and never sees the picture."""
