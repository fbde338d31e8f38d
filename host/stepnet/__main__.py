"""`python -m stepnet` is the command `stepnet`."""

from stepnet.cli import main

if __name__ == "__main__":
    main()
