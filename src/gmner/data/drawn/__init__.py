"""Drawn posts: sentences with names, pictures that show some of them, and exact gold, from a seed.

Start reading in `posts.py`: a sentence, a cast, a layout, a picture, and the gold that follows from it.
"""

from gmner.data.drawn.folder import Order, draw_folder, orders, orders_like
from gmner.data.drawn.like import draw_like
from gmner.data.drawn.posts import draw_post, draw_posts

__all__ = ["Order", "draw_folder", "draw_like", "draw_post", "draw_posts", "orders", "orders_like"]
