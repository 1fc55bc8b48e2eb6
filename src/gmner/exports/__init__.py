"""Posts and their entities as other libraries hold them, and back: spaCy, supervision, pandas.

Each function takes posts and gives what the library has for them; none of the libraries is loaded before it is needed.
"""

from gmner.exports.detections import from_detections, to_detections
from gmner.exports.displacy import displacy_page
from gmner.exports.doc import from_doc, to_doc
from gmner.exports.frame import from_frame, to_frame

__all__ = ["displacy_page", "from_detections", "from_doc", "from_frame", "to_detections", "to_doc", "to_frame"]
