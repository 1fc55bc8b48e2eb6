"""Sentences in the manner of tweets, with slots for names."""

import re
from typing import Final, NamedTuple

from numpy.random import Generator

from gmner.data.drawn.chance import happens, pick, weighted
from gmner.data.drawn.names import TYPES, Category, make_name
from gmner.tagging import split_words
from gmner.types import Entity


class Sentence(NamedTuple):
    """A text with its words and named entities, and the category of each entity's name."""

    text: str
    tokens: tuple[str, ...]
    entities: tuple[Entity, ...]
    categories: tuple[Category, ...]


def make_sentence(rng: Generator, split: str) -> Sentence:
    """A sentence of a split; it has as many entities as those of Twitter-GMNER, from none to six."""
    number = weighted(rng, _ENTITIES)
    # More than three names take two sentences.
    halves = (number,) if number <= 3 else (number // 2, number - number // 2)
    body = " . ".join(pick(rng, _TEMPLATES[half]) for half in halves)
    text, entities, categories = "", [], []
    taken: set[str] = set()
    for piece in _SLOT.split(_dressed(rng, body)):
        if not (category := _CATEGORIES.get(piece)):
            text += piece
            continue
        name = make_name(rng, category, split)
        while name in taken:
            name = make_name(rng, category, split)
        if text.endswith("#"):
            name = "".join(re.findall(r"\w", name))
        taken.add(name)
        entities.append(Entity(text=name, type=TYPES[category], start=len(text), end=len(text) + len(name)))
        categories.append(category)
        text += name
    tokens = tuple(text[start:end] for start, end in split_words(text))
    return Sentence(text, tokens, tuple(entities), tuple(categories))


def _dressed(rng: Generator, body: str) -> str:
    """The sentence with what tweets have around them."""
    if happens(rng, 0.08):
        body = body.lower() if "{" not in body else body
    if happens(rng, 0.18):
        body = f"RT @{pick(rng, _HANDLES)} : {body}"
    elif happens(rng, 0.08):
        body = f"@{pick(rng, _HANDLES)} {body}"
    if happens(rng, 0.12):
        slots = list(_SLOT.finditer(body))
        if slots:
            slot = pick(rng, slots)
            if slot.start() == 0 or body[slot.start() - 1] == " ":
                body = f"{body[: slot.start()]}#{body[slot.start() :]}"
    if happens(rng, 0.3):
        body += f" #{pick(rng, _TAGS)}"
    if happens(rng, 0.22):
        body += f" {pick(rng, _EMOJI)}"
    if happens(rng, 0.12):
        body += f" http://t.co/{''.join(pick(rng, _LINK) for _ in range(8))}"
    return body


_ENTITIES: Final = {0: 50, 1: 428, 2: 352, 3: 133, 4: 28, 5: 6, 6: 3}
"""Tweets with so many entities, of a thousand, as in the training split of Twitter-GMNER."""

_SLOT: Final = re.compile(r"(\{\w+\})")
_CATEGORIES: Final = {f"{{{category}}}": category for category in TYPES}

_HANDLES: Final = ("fan_91", "dailysport", "newsroom", "joe_k", "musicnow", "ana_b", "thekop", "cinephile", "localpost")
_TAGS: Final = ("throwback", "goals", "nowplaying", "weekend", "legend", "news", "love", "matchday", "mood", "travel")
_EMOJI: Final = ("😍", "🔥", "🎉", "😂", "🙌", "⚽", "🎶", "❤️", "👏", "🏆", "👀", "💯")
_LINK: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

_LINES: Final = """
Good morning everyone , have a great day !
Can't believe it is Friday already ...
This made my whole week
when you forget your umbrella again
Who else is still awake ?
New post on the blog today , link below
Best seat in the house tonight !
tfw the coffee finally kicks in
Happy birthday to {person} !
{person} just made my day
So proud of you {person} !
Still can't get over {person} tonight
{person} spotted on the way home
I need whatever {person} is wearing
{person} looks so happy in this one
Throwback : {person} back in the day
{person} on why the next year will be different
Not me crying over {person} again
Interview with {person} coming up next
can someone tell {person} to smile
BREAKING : {person} says sorry to fans
What a goal by {person} !!!
{person} : " I never wanted to leave "
Missing {person} so much right now
Sunny afternoon in {town}
Greetings from {town} !
{town} at its best
Traffic is terrible in {town} today
We finally made it to {landmark}
{landmark} looks unreal this morning
Power is out all over {town}
Nothing beats the view of {landmark}
{club} are going up !
Full time : another win for {club}
New kit for {club} is out
Proud to support {club} since day one
Never in doubt , {club} !
{band} live tonight , can't wait
On repeat : the new single by {band}
{band} are back in the studio
{firm} is hiring again
Another bad quarter for {firm}
{channel} reports a record summer
Just saw it on {channel}
{firm} opens its new store today
That new logo of {firm} though
Tickets for {band} sold out in minutes
Just watched {film} and wow
{film} is in cinemas now
Have you seen the trailer for {film} yet ?
Took the {car} out for a spin
The new {car} is a beauty
Who will win the {event} this year ?
Back with the {event} !
Unboxing the {phone} today
Half way through {book} and can't put it down
Finally got my {guitar}
Giveaway : a signed {ball} for one lucky follower
{person} and {person} together again
{person} meets {person} at last
{person} vs {person} tonight !
Lunch with {person} and {person} today
{person} thanks {person} after the show
{person} or {person} ? Choose one
A young {person} with {person} in the background
Has {person} forgiven {person} yet ?
{person} next to {person} , what a picture
{person} signs for {club} !
{person} scores twice for {club}
Official : {person} leaves {club}
{person} of {club} named player of the month
{club} give {person} a new deal
{person} from {band} was right behind us
{band} without {person} is not the same
{person} joins {firm} as new boss
{person} talks to {channel} about the year
Watch {person} on {channel} tonight
{person} arrives in {town}
{person} at {landmark} this morning
{person} grew up near {town}
So {person} was seen in {town} again
Selfie with {person} in front of {landmark}
{person} lifts the {event}
{person} will star in {film}
{person} on the set of {film}
{person} and the {car} of my dreams
{person} wrote {book} in three weeks
{person} plays a {guitar} tonight
{club} against {club} at noon
{club} come to {town} on Sunday
{band} play {town} next month
{firm} moves to {town}
The {event} returns to {town}
{channel} live from {landmark}
{firm} unveils the {car}
{firm} has sold out of the {phone}
{club} out of the {event}
{band} on the soundtrack of {film}
From {town} to {landmark} in one day
{landmark} , the pride of {town}
{person} , {person} and {person} on one stage
{person} , {person} and {person} reunited
{person} beats {person} in {town}
{person} and {person} leave {club}
{person} and {person} join {band} on tour
{person} scores for {club} against {club}
{person} wins the {event} with {club}
{person} of {club} seen in {town}
{person} tells {channel} about {film}
{person} and {person} talk about {film}
{person} drives the new {car} through {town}
{person} of {firm} shows the {phone}
{club} beat {club} in the {event}
{band} and {band} both play {town} in May
{person} and {person} visit {landmark}
{channel} : {person} to leave {firm}
{person} opens {landmark} in {town}
{firm} and {person} bring back the {guitar}
{person} signs {book} for {person} in {town}
{person} with {person} at the {event}
""".strip().splitlines()
_TEMPLATES: Final = {number: [line for line in _LINES if len(_SLOT.findall(line)) == number] for number in range(4)}
"""Sentences by the number of their names."""
