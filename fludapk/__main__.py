"""Run the command line as ``python -m fludapk``."""

from fludapk.cli import main

if __name__ == "__main__":
    main(prog_name="fludapk")
