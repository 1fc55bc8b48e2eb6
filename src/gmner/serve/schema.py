"""What goes in and comes out, as OpenAPI describes it. Results are rows of the package's own row format."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from gmner.data.rows import row_from_prediction
from gmner.errors import FailureError, GmnerError
from gmner.types import Prediction

MAX_POSTS: Final = 32
"""Posts of one request."""

FORM: Final = "multipart/form-data"


class Region(BaseModel):
    """A candidate region of a post's picture."""

    model_config = ConfigDict(extra="forbid")

    box: list[float] = Field(min_length=4, max_length=4, description="[x1, y1, x2, y2] in pixels of the picture.")
    kind: str = Field(description="What the detector takes it for.")
    score: float = Field(allow_inf_nan=False, description="How sure the detector is.")
    text: str = Field(default="", description="What is written there.")


class Post(BaseModel):
    """One post."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="What it says.", examples=["Grace Hopper of the US Navy"])
    image: str | None = Field(default=None, description="Its picture: the bytes of a file, in base64.")
    image_url: str | None = Field(default=None, description="Its picture's address; refused unless switched on.")
    id: str = Field(default="", description="Returned with the result.")
    caption: str | None = Field(default=None, description="Its picture in a line, for systems that read it.")
    description: str | None = Field(default=None, description="Its picture in detail, for systems that read it.")
    knowledge: str | None = Field(default=None, description="What is known of its names, for systems that read it.")
    tokens: list[str] | None = Field(
        default=None, max_length=10_000, description="Its text in words, for systems that find names among them."
    )
    candidates: list[Region] | None = Field(
        default=None, max_length=1000, description="Regions of its picture, for systems that choose among them."
    )


class Request(BaseModel):
    """Posts, at most 32."""

    model_config = ConfigDict(extra="forbid")

    posts: list[Post] = Field(min_length=1, max_length=MAX_POSTS)


MAX_FIELDS: Final = MAX_POSTS * len(Post.model_fields)
"""Fields of a form."""


def _bodies() -> dict[str, Any]:
    """The bodies of a request for predictions, by their kind."""
    as_json = Request.model_json_schema()
    parts = as_json.pop("$defs")
    post = as_json["properties"]["posts"]["items"] = parts["Post"]
    post["properties"]["candidates"]["anyOf"][0]["items"] = parts["Region"]
    fields = {
        name: {"type": "array", "maxItems": MAX_POSTS, "items": {"type": "string"}, "description": told["description"]}
        for name, told in post["properties"].items()
        if name not in ("tokens", "candidates")  # a form has no lists
    }
    fields["text"] |= {"minItems": 1, "description": "What it says; each begins a post."}
    fields["image"] |= {"items": {"type": "string", "format": "binary"}, "description": "Its picture: a file."}
    as_form = {"type": "object", "required": ["text"], "properties": fields, "additionalProperties": False}
    return {"application/json": {"schema": as_json}, FORM: {"schema": as_form}}


BODIES: Final = _bodies()


class FoundEntity(BaseModel):
    """A named entity. `start` and `end` count characters (Unicode code points) of the text, `end` exclusive."""

    model_config = ConfigDict(extra="allow")

    text: str
    type: str = Field(description="PER, LOC, ORG or OTHER.")
    start: int | None = None
    end: int | None = None
    boxes: list[list[float]] = Field(default=[], description="[x1, y1, x2, y2] in pixels of the upright picture.")
    masks: list[Any] = Field(default=[], description="COCO run-length codes.")
    score: float | None = Field(default=None, description="Probability of the entity.")
    groundable: float | None = Field(default=None, description="Probability that it can be seen.")
    expression: str | None = Field(default=None, description="What was looked for.")


class Refusal(BaseModel):
    """What was wrong with a post: what was given, what is allowed, what to do."""

    kind: str
    message: str


class Result(BaseModel):
    """A post with its entities, or with what was wrong with it."""

    model_config = ConfigDict(extra="allow")

    id: str = ""
    text: str | None = None
    entities: list[FoundEntity] | None = None
    error: Refusal | None = None


class Response(BaseModel):
    """A result for every post, in order."""

    posts: list[Result]


class Problem(BaseModel):
    """Why a request was refused as a whole."""

    error: Refusal


def result_row(name: str, result: Prediction | GmnerError) -> dict[str, Any]:
    """The result of the post `name` as JSON."""
    if isinstance(result, GmnerError):
        return {"id": name, **refusal(result)}
    return row_from_prediction(result)


def refusal(error: GmnerError) -> dict[str, Any]:
    """What was wrong with a post; of a fault of ours no more than that it was one."""
    return FAULT if isinstance(error, FailureError) else problem(type(error).__name__, str(error))


def problem(kind: str, message: str) -> dict[str, Any]:
    """The body of a refused request."""
    return {"error": {"kind": kind, "message": message}}


FAULT: Final = problem("fault", "a fault of the service; its log says more")
