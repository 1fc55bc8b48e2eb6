"""Posts as they come in a request: as JSON or as a form, to the same values and the same refusals."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from gmner.errors import ImageError
from gmner.serve import schema
from gmner.tagging import locate_tokens
from gmner.types import Candidate, Example, valid_box


@dataclass(frozen=True)
class Incoming:
    """One post: its fields, and its picture where that came as a file."""

    fields: schema.Post
    file: bytes | None = None

    def picture(self) -> bytes | None:
        """The bytes of the picture, if it came with the post.

        Raises:
            ImageError: it is not base64.
        """
        text = self.fields.image
        if text is None:
            return self.file
        try:
            return base64.b64decode(text.partition("base64,")[2] or text, validate=True)
        except (binascii.Error, ValueError):
            raise ImageError(
                "a picture that is not base64",
                allowed="`image` holds the bytes of a file in base64, with or without a data: prefix",
                todo="encode the file, or send it as multipart/form-data",
            ) from None

    def example(self, picture: bytes | None) -> Example:
        """The post with this picture.

        Raises:
            TextError: the text is empty, or does not hold the tokens in their order.
            EntityError: a candidate's box is none.
        """
        given = self.fields
        if given.tokens is not None:
            locate_tokens(given.text, given.tokens)
        return Example(
            id=given.id,
            text=given.text,
            tokens=None if given.tokens is None else tuple(given.tokens),
            image=picture,
            caption=given.caption,
            description=given.description,
            knowledge=given.knowledge,
            candidates=None
            if given.candidates is None
            else tuple(Candidate(valid_box(*one.box), one.kind, one.score, one.text) for one in given.candidates),
        )


async def read_posts(request: Request) -> list[Incoming]:
    """The posts of a request.

    Raises:
        HTTPException: the body is neither JSON nor a form, or a form that holds something else than posts.
        RequestValidationError: what stands in it are not posts.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        body = await request.body()
        try:
            return [Incoming(post) for post in schema.Request.model_validate_json(body).posts]
        except ValidationError as error:
            raise _invalid(error) from None
    if kind == schema.FORM:
        return await _read_form(request)
    raise HTTPException(415, f"a body that is neither application/json nor {schema.FORM}; name which it is")


async def _read_form(request: Request) -> list[Incoming]:
    """The posts of a form: each `text` begins one, and what follows it up to the next is of the same post."""
    posts: list[dict[str, Any]] = [{}]
    async with request.form(max_files=schema.MAX_POSTS, max_fields=schema.MAX_FIELDS) as form:
        for name, value in form.multi_items():
            if name == "text" and name in posts[-1]:
                posts.append({})
            if name in posts[-1]:
                raise HTTPException(422, f"two fields {name!r} of one post; each `text` begins a new one")
            if isinstance(value, UploadFile) != (name == "image"):
                raise HTTPException(422, "in a form `image` is a file, and nothing else is")
            posts[-1][name] = await value.read() if isinstance(value, UploadFile) else value
    files = [post.pop("image", None) for post in posts]
    try:
        read = schema.Request.model_validate({"posts": posts}).posts
    except ValidationError as error:
        raise _invalid(error) from None
    return [Incoming(fields, file) for fields, file in zip(read, files, strict=True)]


def _invalid(error: ValidationError) -> RequestValidationError:
    return RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_input=False)])
