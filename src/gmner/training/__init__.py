"""One loop, recipes, and a task for each thing that is trained."""
