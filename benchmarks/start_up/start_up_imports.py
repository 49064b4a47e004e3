"""What a program takes that imports a dozen modules and ends."""

import children

if __name__ == "__main__":
    children.main(
        "start_up_imports",
        "import argparse, asyncio, collections, dataclasses, datetime, functools, json, logging, pathlib, re, subprocess, typing",
    )
