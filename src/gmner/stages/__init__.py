"""The steps of the cascade: one Protocol (`stage`), several implementations."""
