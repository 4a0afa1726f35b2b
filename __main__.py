"""``python -m albench``: the command line."""

from albench.cli import main

if __name__ == "__main__":
    main(prog_name="albench")
