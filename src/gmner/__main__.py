"""`python -m gmner`: the command line."""

from gmner.cli.main import main

if __name__ == "__main__":
    main()
