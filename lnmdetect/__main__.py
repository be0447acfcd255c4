"""`python -m lnmdetect` is the command `lnmdetect`."""

from lnmdetect.cli import main

if __name__ == "__main__":
    main()
